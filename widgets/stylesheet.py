"""The palette of a theme, and the style sheet for what a palette cannot reach."""

from __future__ import annotations

from string import Template

from PySide6.QtGui import QColor, QPalette

from widgets.colours import Theme, mix

_TEMPLATE = Template("""
QToolTip {
    color: $text; background: $base; border: 1px solid $border; padding: 4px 6px;
}
QMenuBar { background: $window; padding: 2px 4px; border-bottom: 1px solid $border; }
QMenuBar::item { padding: 4px 8px; border-radius: 4px; background: transparent; }
QMenuBar::item:selected, QMenuBar::item:pressed { background: $hover; }
QMenu { background: $base; border: 1px solid $border; padding: 4px; }
QMenu::item { padding: 5px 24px 5px 8px; border-radius: 4px; }
QMenu::item:selected { background: $selection; color: $text; }
QMenu::item:disabled { color: $disabled; }
QMenu::icon { padding-left: 8px; }
QMenu::separator { height: 1px; background: $border; margin: 4px 8px; }

QToolBar { background: $window; border: 0; border-bottom: 1px solid $border; padding: 4px;
    spacing: 2px; }
QToolBar { icon-size: 18px; }
QToolBar::handle { image: none; width: 0; }
QToolBar::separator { width: 1px; background: $border; margin: 4px 6px; }
QToolButton { border: 1px solid transparent; border-radius: 4px; padding: 4px 6px; }
QToolButton[framed="true"] { border-color: $border; }
QToolButton:hover { background: $hover; }
QToolButton:pressed, QToolButton:checked { background: $selection; }
QToolButton[plain="true"]:checked { background: transparent; }
QToolButton[plain="true"]:checked:hover { background: $hover; }
QToolButton[framed="true"]:checked { border-color: $accent; }
QToolButton:focus { border-color: $accent; }
QToolButton:disabled { color: $disabled; }
QToolButton::menu-indicator { image: none; }

QPushButton { background: $button; border: 1px solid $border; border-radius: 4px;
    padding: 4px 12px; min-height: 16px; }
QPushButton:hover { background: $hover; }
QPushButton:pressed { background: $selection; }
QPushButton:focus { border-color: $accent; }
QPushButton:default { background: $accent; border-color: $accent; color: $on_accent; }
QPushButton:default:hover { background: $accent_hover; }
QPushButton:disabled { color: $disabled; background: $window; border-color: $border; }

QDialogButtonBox { dialogbuttonbox-buttons-have-icons: 0; }

QLineEdit { background: $base; border: 1px solid $border; border-radius: 4px;
    padding: 3px 6px; min-height: 18px; selection-background-color: $marked; }
QLineEdit:focus { border-color: $accent; }
QLineEdit:disabled { color: $disabled; background: $window; }

QCheckBox::indicator { width: 12px; height: 12px; border: 1px solid $muted; border-radius: 3px;
    background: $base; }
QCheckBox::indicator:checked { background: $accent; border-color: $accent; }
QCheckBox::indicator:disabled { border-color: $border; background: $window; }
QCheckBox::indicator:checked:disabled { background: $disabled; }
QCheckBox::indicator:focus { border-color: $accent; }

QRadioButton { spacing: 8px; }
QRadioButton::indicator { width: 12px; height: 12px; border: 1px solid $muted; border-radius: 7px;
    background: $base; }
QRadioButton::indicator:checked { width: 6px; height: 6px; border: 4px solid $accent; }
QRadioButton::indicator:focus { border-color: $accent; }
QRadioButton::indicator:disabled { border-color: $border; background: $window; }

QHeaderView { background: $window; }
QHeaderView::section { background: $window; color: $muted; border: 0;
    border-bottom: 1px solid $border; border-right: 1px solid $faint; padding: 4px 6px; }
QHeaderView::section:last { border-right: 0; }

QTabBar { qproperty-drawBase: 0; }
QTabBar::tab { color: $muted; padding: 5px 12px; border: 0; border-bottom: 2px solid transparent; }
QTabBar::tab:selected { color: $text; border-bottom-color: $accent; }
QTabBar::tab:hover:!selected { color: $text; background: $hover; }
QTabWidget::pane { border: 0; border-top: 1px solid $border; }

QDockWidget { titlebar-close-icon: none; titlebar-normal-icon: none; }
QDockWidget::title { background: $window; color: $muted; padding: 6px 8px;
    border-bottom: 1px solid $border; }
QMainWindow::separator { background: $border; width: 1px; height: 1px; }
QMainWindow::separator:hover { background: $accent; }
QSplitter::handle { background: $border; }
QSplitter::handle:hover { background: $accent; }
QSplitter::handle:horizontal { width: 1px; }
QSplitter::handle:vertical { height: 1px; }
QStatusBar { background: $window; border-top: 1px solid $border; }
QStatusBar::item { border: 0; }

QProgressBar { background: $faint; border: 0; border-radius: 3px; max-height: 6px;
    min-height: 6px; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }

QScrollBar { background: transparent; border: 0; margin: 0; }
QScrollBar:vertical { width: 12px; }
QScrollBar:horizontal { height: 12px; }
QScrollBar::handle { background: $handle; border: 3px solid $base; border-radius: 6px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::handle:hover, QScrollBar::handle:pressed { background: $muted; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; border: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: $base; }
QAbstractScrollArea::corner { background: $base; border: 0; }
QLabel[tone="muted"] { color: $muted; }
QLabel[tone="good"] { color: $good; }
QLabel[tone="warning"] { color: $warning; }
QLabel[tone="danger"] { color: $danger; }

QTreeView, QListView, QTableView, QPlainTextEdit { border: 0; }
QListView#completions { background: $base; border: 1px solid $border; padding: 4px; outline: 0; }
QListView#completions::item { padding: 3px 6px; border: 0; border-radius: 4px; }
QListView#completions::item:selected { background: $selection; color: $text; }
QTreeView { show-decoration-selected: 1; }
""")


def style_sheet(theme: Theme) -> str:
    """Menus, headers, scroll bars and the other parts that Fusion draws with its own ideas."""
    colours = {
        "text": theme.text,
        "muted": theme.muted,
        "base": theme.base,
        "window": theme.window,
        "border": theme.border,
        "good": theme.good,
        "warning": theme.warning,
        "danger": theme.danger,
        "accent": theme.accent,
        "on_accent": theme.on_accent,
        "selection": theme.selection,
        "hover": theme.hover,
        "faint": theme.faint,
        "button": theme.window if theme.dark else theme.base,
        "accent_hover": mix(theme.accent, theme.text, 0.86),
        "disabled": mix(theme.muted, theme.window, 0.6),
        "handle": mix(theme.muted, theme.base, 0.45),
        "marked": mix(theme.accent, theme.base, 0.35),
    }
    return _TEMPLATE.substitute({name: colour.name() for name, colour in colours.items()})


def palette_of(theme: Theme) -> QPalette:
    """The theme as Qt's own widgets read it."""
    palette = QPalette()
    role = QPalette.ColorRole
    colours = {
        role.Window: theme.window,
        role.WindowText: theme.text,
        role.Base: theme.base,
        role.AlternateBase: theme.alternate,
        role.Text: theme.text,
        role.Button: theme.window if theme.dark else theme.base,
        role.ButtonText: theme.text,
        role.BrightText: theme.danger,
        role.ToolTipBase: theme.base,
        role.ToolTipText: theme.text,
        role.PlaceholderText: theme.muted,
        role.Highlight: theme.selection,
        role.HighlightedText: theme.text,
        role.Accent: theme.accent,
        role.Link: theme.accent,
        role.LinkVisited: theme.module,
        role.Light: mix(theme.text, theme.window, 0.12) if theme.dark else theme.base,
        role.Midlight: mix(theme.text, theme.window, 0.08),
        role.Mid: theme.border,
        role.Dark: mix(theme.text, theme.window, 0.35),
        role.Shadow: mix(QColor("black"), theme.border, 0.5),
    }
    for where, colour in colours.items():
        palette.setColor(where, colour)
    disabled = mix(theme.muted, theme.window, 0.6)
    for where in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(QPalette.ColorGroup.Disabled, where, disabled)
    return palette


def palette_of_fields(theme: Theme) -> QPalette:
    """The palette of combo boxes and spin boxes.

    Fusion frames them in their window colour made darker by 1.4, which nobody sees on a dark
    ground; so they get the window colour that becomes the frame they should have.
    """
    palette = palette_of(theme)
    group = QPalette.ColorGroup
    for where, share in ((group.Normal, 0.6), (group.Inactive, 0.6), (group.Disabled, 0.3)):
        frame = mix(theme.muted, theme.window, share)
        value = min(255, round(frame.value() * 1.4))
        before = QColor.fromHsv(frame.hue(), frame.saturation(), value)
        palette.setColor(where, QPalette.ColorRole.Window, before)
    return palette

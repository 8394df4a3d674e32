from widgets.tree_delegate import one_line


def test_names_stay_in_their_line():
    assert one_line("line\nbreak\ttab") == "line␊break␉tab"
    assert one_line("plain") == "plain"

"""Files of tensors, read from their descriptions: one module a format, and what they share.

Nothing here runs anything of a file, and nothing is believed unchecked.  Each format is a
:class:`~inspector_app.backend.formats.values.TensorFile`.
"""

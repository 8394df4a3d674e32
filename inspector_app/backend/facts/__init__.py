"""What there is to say of one row, in words: one module a subject.

None of it runs the model's code: a module is read through its type and its instance dictionary, a
tensor through torch's own descriptors.
"""

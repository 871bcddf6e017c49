"""The structure of each file format, read without a decoder: sizes before anything allocates, and
metadata taken out.

Each module has ``read_header(data)`` and, where the format is also written, ``strip(data)``.
``data`` is a whole file as bytes or a memory map. They may raise IndexError, ValueError or
struct.error on nonsense, which ``perform`` turns into a typed error.
"""

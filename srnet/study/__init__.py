"""Experiments that answer questions about the design: ``srnet study``.

Each module asks one question and gives rows; ``residual.py`` puts them in order. Networks,
training and pictures are those of the product: only settings differ.
"""

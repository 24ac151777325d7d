"""ONNX graphs: import, export, cut points, extraction, cost.

Everything here needs the extra ``[train]``; importing the package itself imports nothing.
"""

"""The engine `sketch`: a procedural composer and synthesiser in NumPy. No AI, no weights, no network.

prompt → reading → plan (form, harmony) → notes of one bar at a time → sound of that bar.
"""

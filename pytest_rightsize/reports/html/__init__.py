"""The page with everything, in one file.

In come a run and its verdicts, out goes HTML as text; `report.py` is the only file that others import. The page loads
nothing from elsewhere, and no answer is ever HTML in it. Template, style and scripts are files in `page/`.
"""

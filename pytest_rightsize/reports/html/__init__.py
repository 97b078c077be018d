"""The HTML page of a run, in one file.

In come a run and its verdicts; out goes the page as text, and `report.py` is the only file that others import. The page
loads nothing from the network, and no text from outside is ever markup in it. To add a section: write its markup in
`page/report.html.jinja`, a file here that gives its words and numbers, and its key in `page_view.py`.
"""

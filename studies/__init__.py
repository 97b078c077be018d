"""Published comparisons that run: recorded answers of real models go through real sessions, and out comes a page.

Each study is a folder with a suite, a ladder of replay rungs and a page of docs/studies/ as a template; the module of
the same name computes the page's figures from the session's results. Nothing is downloaded, and no figure is written
by hand.
"""

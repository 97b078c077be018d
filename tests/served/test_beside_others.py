"""Served tests beside other plugins: time limits by a signal, and workers of xdist."""

import pytest

from tests.served.project import asked, climb, make, trials

TESTS = """
    import pytest, app
    @pytest.mark.timeout(120, method="signal")
    @pytest.mark.parametrize("word", "abcd")
    def test_upper(model, word):
        assert app.ask(word) == word.upper()
"""


@pytest.mark.parametrize("options", [[], ["-n2"]], ids=["one process", "xdist"])
def test_time_limits_and_workers_change_nothing(pytester: pytest.Pytester, options: list[str]) -> None:
    """Each worker has an endpoint of its own."""
    make(pytester, delay_ms=40)
    climb(pytester, TESTS, *options).assert_outcomes(passed=4)
    assert sorted(asked(pytester)) == list("abcd")
    assert sorted(trial["answers"][0]["text"] for trial in trials(pytester).values()) == list("ABCD")


def test_a_server_that_a_session_fixture_starts_asks_for_the_test_that_calls_it(pytester: pytest.Pytester) -> None:
    make(pytester, delay_ms=40)
    climb(
        pytester,
        """
        import threading, urllib.request
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
        import pytest, app

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                try:
                    text = app.ask(self.path[1:])
                except app.Refused:
                    text = "refused"
                self.send_response(200)
                self.end_headers()
                self.wfile.write(text.encode())
            def log_message(self, *args):
                pass

        @pytest.fixture(scope="session")
        def url():
            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()

        @pytest.mark.parametrize("word", "abcd")
        def test_upper(model, url, word):
            assert urllib.request.urlopen(url + word).read().decode() == word.upper()
        """,
    ).assert_outcomes(passed=4)
    assert sorted(asked(pytester)) == list("abcd")

from pathlib import Path
from starlette.testclient import TestClient
from hub.clock import Clock
from hub.console.app import create_console
from hub.console.desk import COOKIE, Console, LooksUnrecorded
from hub.console.viewer import Viewer
from hub.home import Home
from hub.hub import Deciding
from tests.work.office import office
from tests.work.test_list import lived

def test_all(tmp_path: Path) -> None:
    desk = office(tmp_path)
    lived(desk)
    with Deciding.open(Home(tmp_path/"hub")) as deciding:
        deciding.reading.exchange.clock = Clock(desk.time, steady=None)
        console = Console(deciding, LooksUnrecorded())
        for v in (Viewer("A","auditor"),Viewer("O","operator"),Viewer("S","agency_officer","SH-1"),Viewer("R","rapporteur")):
            c = TestClient(create_console(console), follow_redirects=False)
            c.cookies.set(COOKIE, console.sessions.begin(v))
            for p in ("/","/?span=day&again=3","/work","/work?role=auditor&state=done","/withdrawals","/dead-letters","/dead-letters/refused","/policy","/policy/diff?old=coe&new=uk","/policy/replay?new=uk","/registry"):
                for lang in ("en","fr"):
                    r = c.get(p, headers={"accept-language":lang})
                    print(v.role, p, r.status_code, len(r.text))
    desk.close()

"""A FastAPI app whose users sign in at the bridge's own pages, in the same process.

    pip install 'login-bridge[server]' fastapi
    export BRIDGE__PROFILE=dev
    login-bridge migrate
    echo 'a password of your own' | login-bridge user add me@example.com --password-stdin
    uvicorn examples.fastapi_app:app --no-proxy-headers

and open http://127.0.0.1:8000/login.  A path that asks for `CurrentUser` answers 401 to nobody.
"""

from fastapi import FastAPI

from bridge import Bridge, Config
from bridge.middleware import CurrentUser

api = FastAPI()


@api.get("/me")
async def me(user: CurrentUser) -> dict[str, object]:
    return {"id": user.id, "sub": user.sub, "name": user.name, "email": user.email, "groups": user.groups}


@api.get("/open")
async def everybody() -> str:
    return "no sign-in needed"


login = Bridge(Config.discover())
app = login.middleware(api)

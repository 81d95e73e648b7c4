"""Prints who is where: python watch.py [URL] [COUNT]. The token comes from TAPLINE_TOKEN."""

import asyncio
import os
import sys

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport

POSES = gql(
    """
    subscription { poses { cycle simulated ageMs skipped presence { state } tracks { id x y sigmaM } } }
    """
)


async def main(url: str, count: int) -> None:
    token = os.environ.get("TAPLINE_TOKEN")
    bearer = {"authorization": f"Bearer {token}"} if token else {}
    async with Client(transport=AIOHTTPTransport(url=f"{url}/graphql", headers=bearer)) as session:
        answer = await session.execute(gql("{ server { version mode } }"))
        print("tapline", answer["server"]["version"], answer["server"]["mode"])
    # Not gql's WebsocketsTransport: version 4.0 looks for the sub-protocol's header in one spelling only.
    transport = AIOHTTPWebsocketsTransport(
        url=f"{url.replace('http', 'ws', 1)}/graphql/ws",
        init_payload=bearer,
        subprotocols=[AIOHTTPWebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    async with Client(transport=transport) as session:
        async for answer in session.subscribe(POSES):
            frame = answer["poses"]
            where = [f"({t['x']}, {t['y']}) ± {t['sigmaM']} m" for t in frame["tracks"]]
            print("cycle", frame["cycle"], frame["presence"]["state"], *where)
            count -= 1
            if count <= 0:
                return


asyncio.run(main(*(sys.argv[1:2] or ["http://127.0.0.1:8080"]), int((sys.argv[2:3] or ["20"])[0])))

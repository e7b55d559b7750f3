"""Sign-in for API clients, in Flask-AppBuilder's place and shape."""

from typing import Any

import msgspec
from flask import Response, current_app, request
from flask_appbuilder.api import expose
from flask_appbuilder.security.api import SecurityApi

from core.errors import Malformed, Unauthenticated
from core.i18n import N_
from core.security.actors import bearer_token, current_rights
from core.security.services import services


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a sign-in."""

    username: str
    password: str
    provider: str = "db"
    refresh: bool = False


class TokenApi(SecurityApi):
    """`POST /api/v1/security/login` and `/refresh`."""

    csrf_exempt = True

    @expose("/login", methods=["POST"])
    def login(self) -> Response:
        """Sign in and get a token.
        ---
        post:
          description: Sign in and get an access token
          requestBody:
            required: true
            content:
              application/json:
                schema:
                  type: object
                  required: [username, password]
                  properties:
                    username: {type: string}
                    password: {type: string, format: password}
                    provider: {type: string, enum: [db, ldap], default: db}
                    refresh: {type: boolean, default: false}
          responses:
            200:
              description: The tokens
              content:
                application/json:
                  schema:
                    type: object
                    properties:
                      access_token: {type: string}
                      refresh_token: {type: string}
            401:
              $ref: '#/components/responses/401'
        """  # noqa: D205  what follows the first line is OpenAPI
        credentials = _credentials(request.get_data(cache=False))
        manager = current_app.appbuilder.sm  # type: ignore[attr-defined]
        if credentials.provider != (manager.auth_type_provider_name or "db"):
            raise Unauthenticated(N_("This way to sign in is not switched on."))
        checks = {"db": manager.auth_user_db, "ldap": manager.auth_user_ldap}
        user = checks[credentials.provider](credentials.username, credentials.password)
        if user is None:
            raise Unauthenticated(N_("The user name or the password is not right."))
        return _tokens(str(user.id), user.password, with_refresh=credentials.refresh)

    @expose("/refresh", methods=["POST"])
    def refresh(self) -> Response:
        """Get a new access token for a refresh token.
        ---
        post:
          description: Get a new access token for a refresh token
          responses:
            200:
              description: The token
              content:
                application/json:
                  schema:
                    type: object
                    properties:
                      access_token: {type: string}
            401:
              $ref: '#/components/responses/401'
          security:
            - jwt_refresh: []
        """  # noqa: D205  what follows the first line is OpenAPI
        own = services()
        claim = own.tokens.verify(bearer_token(request) or "", refresh=True)
        actor = own.actors.find(claim.user_id, current_rights(own))
        if actor is None or actor.stamp != claim.stamp:
            raise Unauthenticated
        return _answer({"access_token": own.tokens.issue(actor.id, actor.stamp)})


def _credentials(body: bytes) -> Credentials:
    try:
        return msgspec.json.decode(body, type=Credentials)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(N_("Send username and password as JSON texts.")) from error


def _tokens(user_id: str, password_hash: str, *, with_refresh: bool) -> Response:
    own = services()
    stamp = own.actors.stamp(user_id, password_hash)
    answer: dict[str, Any] = {"access_token": own.tokens.issue(user_id, stamp)}
    if with_refresh:
        answer["refresh_token"] = own.tokens.issue(user_id, stamp, refresh=True)
    return _answer(answer)


def _answer(body: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(body), mimetype="application/json")

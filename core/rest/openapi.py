"""`/api/v1/_openapi`: Flask-AppBuilder's document with every record type of the caller.

Made from the release in force, so a type or field published a moment ago is in it
without a restart, in every process.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flask import Response, current_app, url_for
from flask_appbuilder.api import BaseApi, expose
from flask_appbuilder.api.manager import OpenApi

from core.actor import PUBLIC
from core.context import Context
from core.errors import NotFound, Unauthenticated
from core.policies.access import access
from core.rest.described import allowed_actions
from core.rest.exchange import API, respond
from core.rest.shapes import answer_shape, body_shape
from core.schema.model import RecordType
from core.security.actors import context_for_request

if TYPE_CHECKING:
    from apispec import APISpec

VERSION = API.rpartition("/")[2]

_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["code", "message", "problems", "hint", "request_id"],
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "path": {"type": "string"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "params": {"type": "object"},
                },
            },
        },
        "hint": {"type": "string"},
        "request_id": {"type": "string"},
    },
}


class OpenApiView(OpenApi):
    """The description of the interface, for the caller's own rights and language."""

    @expose("/<version>/_openapi")
    def get(self, version: str) -> Response:
        """Describe this version of the interface.
        ---
        get:
          description: This description
          responses:
            200:
              description: An OpenAPI 3 document
              content:
                application/json:
                  schema: {type: object}
        """  # noqa: D205  what follows the first line is OpenAPI
        ctx = context_for_request("api")
        if ctx.actor is PUBLIC:
            raise Unauthenticated
        if version != VERSION:
            raise NotFound
        key = ("rest.openapi", ctx.actor.rights_key, ctx.locale, url_for("system.healthz"))
        document: dict[str, Any] = ctx.registry.memo(key, lambda: self._document(ctx))
        return respond(document)

    def _document(self, ctx: Context) -> dict[str, Any]:
        spec: APISpec = self._create_api_spec(VERSION)
        for view in current_app.appbuilder.baseviews:  # type: ignore[attr-defined]
            if isinstance(view, BaseApi) and view.version == VERSION:
                view.add_api_spec(spec)
        document: dict[str, Any] = spec.to_dict()
        document["servers"] = [{"url": "/"}]
        document["info"]["x-release"] = ctx.registry.release.number
        document["security"] = [{"jwt": []}]
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Error"] = _ERROR
        document["components"].setdefault("responses", {})["Error"] = {
            "description": "What went wrong, and where",
            "content": {"application/json": {"schema": _ref("Error")}},
        }
        for name in sorted(ctx.registry.release.types):
            record_type = ctx.registry.release.type(name)
            if record_type is not None and "view" in allowed_actions(ctx, name):
                _add_type(ctx, document, record_type)
        for path, methods in _fixed_paths():
            document["paths"].setdefault(path, {}).update(methods)
        return document


def _add_type(ctx: Context, document: dict[str, Any], record_type: RecordType) -> None:
    name, schemas, paths = record_type.name, document["components"]["schemas"], document["paths"]
    seen, locale = access(ctx, name).names, ctx.locale
    title = "".join(part.capitalize() for part in name.split("_"))
    schemas[title] = answer_shape(record_type, seen, locale)
    schemas[f"{title}Create"] = body_shape(record_type, seen, locale, partial=False)
    schemas[f"{title}Change"] = body_shape(record_type, seen, locale, partial=True)
    schemas[f"{title}Page"] = {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": _ref(title)},
            "next": {"type": "string", "nullable": True},
            "count": {"type": "integer"},
        },
    }
    tag = schemas[title]["title"]
    paths[f"{API}/records/{name}"] = {
        "get": _operation(tag, f"list_{name}", _ref(f"{title}Page"), query=_LIST_QUERY),
        "post": _operation(
            tag, f"create_{name}", _ref(title), body=_ref(f"{title}Create"), status=201
        ),
    }
    paths[f"{API}/records/{name}/{{id}}"] = {
        "parameters": [_ID_PARAMETER],
        "get": _operation(tag, f"get_{name}", _ref(title), query=("fields", "expand")),
        "patch": _operation(
            tag, f"update_{name}", _ref(title), body=_ref(f"{title}Change"), needs_version=True
        ),
        "delete": _operation(tag, f"delete_{name}", None, status=204, needs_version=True),
    }
    paths[f"{API}/records/{name}/{{id}}/history"] = {
        "parameters": [_ID_PARAMETER],
        "get": _operation(tag, f"history_{name}", {"type": "object"}),
    }


_LIST_QUERY = ("filter", "sort", "fields", "limit", "after", "search", "count", "expand")
_ID_PARAMETER = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _operation(
    tag: str,
    operation_id: str,
    answer: dict[str, Any] | None,
    *,
    body: dict[str, Any] | None = None,
    query: tuple[str, ...] = (),
    status: int = 200,
    needs_version: bool = False,
) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "schema": {"type": "string"}} for name in query
    ]
    if needs_version:
        parameters.append(
            {"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"}}
        )
    if status == 201 or body is not None:  # noqa: PLR2004  HTTP
        parameters.append(
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}
        )
    done: dict[str, Any] = {"description": "Done"}
    if answer is not None:
        done["content"] = {"application/json": {"schema": answer}}
    operation: dict[str, Any] = {
        "tags": [tag],
        "operationId": operation_id,
        "parameters": parameters,
        "responses": {str(status): done, "default": {"$ref": "#/components/responses/Error"}},
    }
    if body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
    return operation


#: What bodies and answers of files are, which are not JSON.
_BINARY = {"type": "string", "format": "binary"}
_OF_FILES: dict[str, dict[str, Any]] = {
    "rest.files_upload": {
        "parameters": [],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {"file": _BINARY},
                        "required": ["file"],
                    }
                }
            },
        },
        "responses": {
            "201": {
                "description": "Done",
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {
                                "id": {"type": "string", "format": "uuid"},
                                "name": {"type": "string"},
                                "media_type": {"type": "string"},
                                "size": {"type": "integer"},
                                "width": {"type": "integer", "nullable": True},
                                "height": {"type": "integer", "nullable": True},
                                "has_thumbnail": {"type": "boolean"},
                            },
                            "required": ["id"],
                        }
                    }
                },
            },
            "default": {"$ref": "#/components/responses/Error"},
        },
    },
    "rest.recordfiles_take": {
        "responses": {
            "200": {
                "description": "The file, made now",
                "content": {"application/octet-stream": {"schema": _BINARY}},
            },
            "default": {"$ref": "#/components/responses/Error"},
        },
    },
    "rest.files_download": {
        "parameters": [
            {"name": "thumbnail", "in": "query", "schema": {"type": "string", "enum": ["1"]}}
        ],
        "responses": {
            "200": {
                "description": "The content",
                "content": {"application/octet-stream": {"schema": _BINARY}},
            },
            "default": {"$ref": "#/components/responses/Error"},
        },
    },
}


def _fixed_paths() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the routes that are the same in every release, read from the URL map."""
    described = {"/records/<type_name>", "/records/<type_name>/<record_id>"}
    for rule in current_app.url_map.iter_rules():
        is_ours = rule.endpoint.startswith(("rest.", "gx.")) and rule.rule.startswith(f"{API}/")
        if not is_ours or rule.rule.removeprefix(API) in described:
            continue
        path = rule.rule.replace("<path:", "<").replace("<", "{").replace(">", "}")
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in sorted(rule.arguments)
        ]
        view = current_app.view_functions[rule.endpoint]
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            operation = _operation(
                rule.rule.removeprefix(API).split("/")[1],
                f"{method.lower()}_{rule.endpoint.partition('.')[2]}",
                {"type": "object"},
                body=None if method in {"GET", "DELETE"} else {"type": "object"},
            )
            operation |= _OF_FILES.get(rule.endpoint, {})
            operation["summary"] = (view.__doc__ or "").split("\n", 1)[0]
            operation["parameters"] = [*parameters, *operation["parameters"]]
            yield path, {method.lower(): operation}

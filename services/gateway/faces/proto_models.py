"""REST's messages, derived from the protos' descriptors: pydantic checks and describes, json_format converts.

There is no second definition of any message. JSON is the proto3 mapping with the protos' own field names and
enum names as strings. Knows no route.
"""

import inspect
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import cache
from itertools import combinations
from types import GenericAlias
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from fastapi import Body, Path, Query
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, Strict, create_model, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from services.common.errors import InvalidField

M = TypeVar("M", bound=Message)

BODY_LIMIT = "one JSON object"

_UINT32, _UINT64, _INT32 = (0, 2**32 - 1), (0, 2**64 - 1), (-(2**31), 2**31 - 1)
_BOUNDS = {
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
}


class ProtoModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    # The names of each oneof's fields.
    oneofs: ClassVar[Sequence[Sequence[str]]] = ()

    @model_validator(mode="before")
    @classmethod
    def _fields_together(cls, value: Any) -> Any:
        """As in proto3 JSON: a null is absent (under an unknown name still unknown), a oneof has one."""
        if not isinstance(value, dict):
            return value
        for name in value:
            if name not in cls.model_fields:
                # pydantic's own error does not say which names there are
                context = {"name": _printable(name), "known": ", ".join(cls.model_fields) or "none"}
                raise PydanticCustomError("unknown_field", "there is no field {name}", context)
        given = {k: v for k, v in value.items() if v is not None}
        for names in cls.oneofs:
            several = [name for name in names if name in given]
            if len(several) > 1:
                context = {"name": several[1], "first": several[0], "known": ", ".join(names)}
                raise PydanticCustomError("oneof", "{name} is given beside {first}", context)
        return given

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        pairs = [list(pair) for names in cls.oneofs for pair in combinations(names, 2)]
        if pairs:
            schema["allOf"] = [{"not": {"required": pair}} for pair in pairs]
            schema["description"] = " ".join(f"At most one of {', '.join(names)}." for names in cls.oneofs)
        return schema


@cache
def model_of(
    descriptor: Descriptor, without: frozenset[str] = frozenset(), *, from_text: bool = False
) -> type[ProtoModel]:
    """The pydantic model of a message, without the fields that come from elsewhere.

    `from_text`: numbers and truth values arrive as text, as in a query; else they have to be of their kind.
    """
    fields: dict[str, Any] = {}
    for field in descriptor.fields:
        if field.name in without:
            continue
        kind = _type_of(field, from_text)
        if field.is_repeated:
            fields[field.name] = (GenericAlias(list, (kind,)), Field(default_factory=list))
        elif field.has_presence:
            fields[field.name] = (kind | None, None)
        else:
            fields[field.name] = (kind, _default(field))
    # Two services may have messages of one name: the package tells them apart in the description.
    package = descriptor.file.package
    model = create_model(descriptor.name, __base__=ProtoModel, __module__=package, **fields)
    # an optional field is a oneof of its own to protobuf
    model.oneofs = [[f.name for f in oneof.fields] for oneof in descriptor.oneofs if len(oneof.fields) > 1]
    return model


def _type_of(field: FieldDescriptor, from_text: bool) -> Any:
    if field.message_type is not None:
        if field.message_type.full_name == "google.protobuf.Timestamp":
            return datetime
        return model_of(field.message_type, from_text=from_text)
    if field.enum_type is not None:
        return Literal[tuple(value.name for value in field.enum_type.values)]
    exact = [] if from_text else [Strict()]
    if field.type in _BOUNDS:
        least, most = _BOUNDS[field.type]
        return Annotated[int, *exact, Field(ge=least, le=most)]
    simple = {
        FieldDescriptor.TYPE_STRING: str,
        FieldDescriptor.TYPE_DOUBLE: float,
        FieldDescriptor.TYPE_BOOL: bool,
        FieldDescriptor.TYPE_BYTES: str,  # base64
    }
    return Annotated[simple[field.type], *exact, Field()]


def _default(field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values_by_number[field.default_value].name
    return "" if field.type == FieldDescriptor.TYPE_BYTES else field.default_value


def request_of(
    message: type[M], *, path: Sequence[str] = (), query: bool = False
) -> Callable[..., Awaitable[M]]:
    """A FastAPI dependency that reads `message`: the fields in `path` from the path, the others from the body
    (which may be left out), or from the query.
    """
    model = model_of(message.DESCRIPTOR, frozenset(path), from_text=query)
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[str, Path()])
        for name in path
    ]
    source = Annotated[model, Query()] if query else Annotated[model, Body()]
    if model.model_fields or not query:
        parameters.append(
            inspect.Parameter(
                "rest",
                inspect.Parameter.KEYWORD_ONLY,
                annotation=source,
                default=inspect.Parameter.empty if query else model(),
            )
        )

    # A coroutine although it waits for nothing: what is none, FastAPI calls in another thread.
    async def read(rest: ProtoModel | None = None, **from_path: str) -> M:
        fields = rest.model_dump(exclude_unset=True, exclude_none=True) if rest is not None else {}
        return message_of(fields | from_path, message)

    # what FastAPI looks at
    vars(read)["__signature__"] = inspect.Signature(parameters)
    return read


def message_of(fields: dict[str, Any], message: type[M]) -> M:
    """The message of a JSON object.

    Raises:
        InvalidField: MALFORMED; what pydantic let through and protobuf does not.
    """
    # Python's JSON reads NaN and 1e999; the proto mapping spells them, and the rules of the field judge them.
    try:
        return json_format.ParseDict(_spelled(fields), message())
    except json_format.ParseError as error:
        named = re.search(r" at \w+\.([\w.\[\]]*\w)", str(error))
        raise InvalidField(
            "MALFORMED",
            named[1] if named else "body",
            str(error),
            limit="what protobuf can hold: Unicode without lone surrogates, numbers within their type",
        ) from error


def _spelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _spelled(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_spelled(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def json_of(message: Message) -> str:
    """Proto3 JSON on one line, fields without presence always printed."""
    return json_format.MessageToJson(
        message, indent=None, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def invalid_field(error: Any) -> InvalidField:
    """The InvalidField of one of pydantic's errors (a dict with type, loc, msg, ctx)."""
    name, context = _field_name(error["loc"]), error.get("ctx") or {}
    match error["type"]:
        case "missing":
            return InvalidField("REQUIRED", name, f"{name} is missing", limit="present")
        case "unknown_field":
            name = context["name"] if name == "body" else f"{name}.{context['name']}"
            return InvalidField(
                "UNKNOWN_FIELD", name, f"there is no field {name}", limit=f"known: {context['known']}"
            )
        case "oneof":
            name = context["name"] if name == "body" else f"{name}.{context['name']}"
            return InvalidField("CONFLICT", name, error["msg"], limit=f"one of {context['known']}")
        case "greater_than_equal" | "less_than_equal" | "int_parsing_size":
            return InvalidField("OUT_OF_RANGE", name, f"{name}: {error['msg']}", limit=_limit(context))
        case "literal_error":
            return InvalidField(
                "UNKNOWN_VALUE", name, f"{name}: {error['msg']}", limit=str(context.get("expected", ""))
            )
        case _:
            limit = BODY_LIMIT if name == "body" else error["msg"]
            return InvalidField("MALFORMED", name, f"{name}: {error['msg']}", limit=limit)


def _limit(context: dict[str, Any]) -> str:
    return next(
        (f"{side} {context[key]}" for key, side in (("ge", "at least"), ("le", "at most")) if key in context),
        "at most 20 digits",
    )


def _printable(name: str) -> str:
    """A name that a client made up, short and without what UTF-8 cannot say."""
    return name[:64].encode("utf-8", "replace").decode() or '""'


def _field_name(location: Sequence[str | int]) -> str:
    """("body", "lyrics", "sections", 0, "tag") as lyrics.sections[0].tag."""
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location[1:])
    return name.removeprefix(".") if name and not name.startswith("[") else "body"

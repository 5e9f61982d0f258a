"""The shapes of what the API answers, for its description: one example says what each member is like.

Members may be added; those named here stay.
"""

from typing import Any, Final

Schema = dict[str, Any]

_CERTIFICATE: Final[Schema] = {
    "alias": "fleetseal-3f9a1c-7",
    "subject": "CN=192.0.2.7",
    "issuer": "CN=Site Issuing CA 1",
    "names": ["192.0.2.7", "gate.example.org"],
    "serial": "2b7f4f4b4c6c0a4e4d1c9a5b6e7f8091a2b3c4d5",
    "not_before": "2026-11-23T11:00:00Z",
    "not_after": "2027-11-23T12:00:00Z",
    "sha256": "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab",
    "key": "EC P-256",
    "issued_by_us": True,
    "key_origin": "device",
}
_DEVICE: Final[Schema] = {
    "id": 7,
    "mac": "B8:A4:4F:00:00:07",
    "status": "OK",
    "address": "192.0.2.7",
    "hostname": "gate.example.org",
    "http_port": 80,
    "https_port": 443,
    "model": "P3265-V",
    "product_type": "Dome Camera",
    "firmware": "12.11.77",
    "server": "default",
    "https": "Enabled",
    "trust": "verified",
    "certificate": _CERTIFICATE,
    "tags": ["gate"],
    "last_seen": "2026-11-23T12:00:00Z",
}
_TASK_ROW: Final[Schema] = {
    "id": 12,
    "action": "Enable HTTPS",
    "state": "Running",
    "actor": "anna",
    "requested": "2026-11-23T12:00:00Z",
    "started": "2026-11-23T12:00:01Z",
    "finished": None,
    "total": 812,
    "done": 312,
    "failed": 3,
}
_STEP: Final[Schema] = {"name": "install", "state": "done", "at": "2026-11-23T12:00:05Z", "detail": ""}
_JOB: Final[Schema] = {
    "mac": "B8:A4:4F:00:00:07",
    "address": "192.0.2.7",
    "status": "Finished",
    "description": "It serves a certificate that is valid until 2027-11-23.",
    "error": None,
    "steps": [_STEP],
}

EXAMPLES: Final[dict[str, Schema]] = {
    "Certificate": _CERTIFICATE,
    "Device": _DEVICE,
    "TaskRow": _TASK_ROW,
    "Task": {
        "id": 12,
        "action": "Enable HTTPS",
        "state": "Finished",
        "heading": "Enable HTTPS successful on all devices",
        "actor": "anna",
        "requested": "2026-11-23T12:00:00Z",
        "started": "2026-11-23T12:00:01Z",
        "finished": "2026-11-23T12:09:00Z",
        "stopped": None,
        "devices": [_JOB],
    },
    "Progress": {
        "id": 12,
        "action": "Enable HTTPS",
        "state": "Running",
        "total": 812,
        "done": 312,
        "failed": 3,
        "in_work": 100,
        "note": "",
    },
    "Alarm": {
        "id": 3,
        "cause": "unreachable",
        "severity": "warning",
        "object": "B8:A4:4F:00:00:07",
        "message": "It does not answer.",
        "since": "2026-11-23T12:00:00Z",
        "acknowledged": None,
    },
    "Record": {
        "number": 41,
        "at": "2026-11-23T12:00:00.000000+00:00",
        "actor": "anna",
        "action": "device set",
        "object": "B8:A4:4F:00:00:07",
        "detail": {"tags": ["gate"], "login": False},
        "previous": "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a",
        "hash": "dbc1b4c900ffe48d575b5da5c638040125f65db0fe3e24494b76ea986457d986",
    },
    "IssuedCertificate": {
        "serial": _CERTIFICATE["serial"],
        "device": 7,
        "mac": "B8:A4:4F:00:00:07",
        "subject": "CN=192.0.2.7",
        "names": ["192.0.2.7"],
        "not_before": "2026-11-23T11:00:00Z",
        "not_after": "2027-11-23T12:00:00Z",
        "state": "installed",
        "task": 12,
    },
    "Setting": {
        "key": "certificate.warning-days",
        "value": 30,
        "default": 30,
        "source": "default",
        "allowed": "a whole number from 1 to 365",
        "help": "When a certificate is about to expire.",
    },
    "Facets": {
        "total": 812,
        "facets": {
            "status": [{"value": "OK", "count": 812}],
            "https": [{"value": "Enabled", "count": 812}],
            "model": [{"value": "P3265-V", "count": 812}],
            "firmware": [{"value": "12.11.77", "count": 812}],
            "trust": [{"value": "verified", "count": 812}],
            "tags": [{"value": "gate", "count": 40}],
        },
    },
    "Server": {"product": "fleetseal", "version": "1.0.0", "serving": True, "working": True},
    "Problem": {
        "type": "urn:fleetseal:not-found",
        "title": "Not found",
        "status": 404,
        "detail": "There is no task 12.",
        "code": "not-found",
    },
}
"""Of each shape."""

_NULL: Final = {
    "Certificate": {"alias", "key_origin"},
    "Device": {"mac", "hostname", "certificate", "last_seen"},
    "TaskRow": {"actor", "started", "finished"},
    "Task": {"actor", "started", "finished", "stopped"},
    "IssuedCertificate": {"device", "mac", "task"},
    "Alarm": {"acknowledged"},
}
"""Members that may be null."""

_ANY: Final = {"Setting": {"value", "default"}, "Record": {"detail"}}
"""Members whose type depends on the row."""

_PARTS: Final = {("Device", "certificate"): "Certificate"}

ONE: Final = {
    "show_device": "Device",
    "show_task": "Task",
    "request_task": "Task",
    "cancel_task": "Task",
    "retry_task": "Task",
    "install_certificates": "Task",
    "delete_certificate": "Task",
    "task_progress": "Progress",
    "get_setting": "Setting",
    "set_setting": "Setting",
    "reset_setting": "Setting",
    "revoke_certificate": "IssuedCertificate",
    "count_devices": "Facets",
    "server": "Server",
}
"""By operation: the shape of its answer."""

MANY: Final = {
    "change_devices": "Device",
    "accept_trust": "Device",
    "remove_devices": "Device",
    "acknowledge_alarm": "Alarm",
    "list_settings": "Setting",
    "export_records": "Record",
}
"""By operation: the shape of each row of its answer."""

PAGED: Final = {
    "list_devices": "Device",
    "list_tasks": "TaskRow",
    "list_alarms": "Alarm",
    "list_issued": "IssuedCertificate",
}
"""By operation: the shape of each row of its answer, which is a page if a limit was given."""

_TOTAL: Final = {"type": "integer", "minimum": 0}


def components() -> dict[str, Schema]:
    """The schemas of all shapes, each with its example."""
    return {name: {**_object(name, example), "examples": [example]} for name, example in EXAMPLES.items()}


def answer_of(operation: str) -> Schema | None:
    """What this operation answers; None where no more is said than that it is JSON."""
    if operation in ONE:
        return _reference(ONE[operation])
    if operation in MANY:
        return _list_of(MANY[operation])
    if operation in PAGED:
        return {"anyOf": [_list_of(PAGED[operation]), _page_of(PAGED[operation], _TOTAL)]}
    if operation == "list_records":  # always a page; how many fit a filter is not counted
        return _page_of("Record", {"anyOf": [_TOTAL, {"type": "null"}]})
    return None


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(name: str) -> Schema:
    return {"type": "array", "items": _reference(name)}


def _page_of(name: str, total: Schema) -> Schema:
    page = {"items": _list_of(name), "next": {"type": ["string", "null"]}, "total": total}
    return {"type": "object", "properties": page, "required": [*page]}


def _object(name: str, example: Schema) -> Schema:
    """As the example is; where that has null, only text is known to come in its place."""
    members = {}
    for member, value in example.items():
        schema = _reference(part) if (part := _PARTS.get((name, member))) else _like(value)
        if member in _ANY.get(name, ()):
            schema = {}
        elif member in _NULL.get(name, ()):
            schema = {"anyOf": [schema, {"type": "null"}]}
        members[member] = schema
    return {"type": "object", "title": name, "properties": members, "required": [*members]}


def _like(value: Any) -> Schema:
    if value is None or isinstance(value, str):
        return {"type": ["string", "null"] if value is None else "string"}
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "integer"}
    if isinstance(value, list):
        return {"type": "array", "items": _like(value[0])}
    return {"type": "object", "properties": {name: _like(one) for name, one in value.items()}, "required": [*value]}

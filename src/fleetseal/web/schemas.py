"""What requests may hold. Strict: a member nobody knows, or of another type, is refused."""

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SettingValue(Body):
    value: str

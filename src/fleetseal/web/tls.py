"""What this server shows to browsers: a certificate and its key from files, read again when they have changed."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

from fleetseal.core.errors import FleetsealError, InvalidInput
from fleetseal.core.runtime import Clock
from fleetseal.core.text import clean

_LOOK_SECONDS = 10.0
_log = logging.getLogger(__name__)


class ServerCertificate:
    """Files with a certificate, the chain below it, and its key; `passphrase` opens the key, if it needs one."""

    def __init__(self, certificate: Path, key: Path, passphrase: Callable[[], str] | None = None) -> None:
        self._certificate, self._key = certificate, key
        self._passphrase = passphrase
        self._seen: object = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """For one more connection: what was loaded last."""
        assert self._context is not None, "loaded before the door opens"
        return self._context

    def load(self) -> None:
        """From now on the certificate in the files is shown. Raises InvalidInput, and then what was shown stays."""
        seen = self._stamp()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # TLS 1.2: forward secrecy and AEAD; 1.3 has nothing else
        context.set_alpn_protocols(["http/1.1"])
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
        try:
            # Without a passphrase of ours the empty one is tried: OpenSSL would ask on the terminal.
            context.load_cert_chain(self._certificate, self._key, self._passphrase or str)
        except ssl.SSLError as error:
            raise InvalidInput(self._refusal(error)) from error
        except OSError as error:
            raise InvalidInput(
                f"The certificate {self._certificate} or its key {self._key} cannot be read: {error.strerror}."
            ) from error
        self._context, self._seen = context, seen

    async def keep(self, clock: Clock) -> None:
        """Shows what the files hold, ten seconds after they changed at the latest; until cancelled."""
        tried = self._seen
        while True:
            await clock.sleep(_LOOK_SECONDS)
            try:
                if (now := await asyncio.to_thread(self._stamp)) != tried:
                    tried = now
                    await asyncio.to_thread(self.load)
                    _log.info("The certificate of the web application was read anew.")
            except FleetsealError as error:  # StoreError too: no passphrase is read from what is damaged
                _log.error("%s The web application goes on with the certificate that it has.", error.message)

    def _stamp(self) -> object:
        """Differs when a file was written or exchanged. Raises InvalidInput."""
        try:
            stats = [path.stat() for path in (self._certificate, self._key)]
        except OSError as error:
            raise InvalidInput(
                f"The certificate {self._certificate} or its key {self._key} cannot be read: {error.strerror}."
            ) from error
        return [(one.st_ino, one.st_size, one.st_mtime_ns) for one in stats]

    def _refusal(self, error: ssl.SSLError) -> str:
        files = f"{self._certificate} and {self._key}"
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"The key in {self._key} does not belong to the certificate in {self._certificate}."
        why = clean((error.reason or "not PEM, or a key under a passphrase").replace("_", " ").lower())
        return f"The files {files} do not hold a certificate and its key, as PEM and without a passphrase ({why})."

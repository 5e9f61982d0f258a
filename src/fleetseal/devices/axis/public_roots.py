"""Well-known public roots that the maker ships in the CA list of its devices (device-api 10.2)."""

from typing import Final

PUBLIC_ROOTS: Final = frozenset(
    {
        "COMODO ECC Certification Authority",
        "COMODO RSA Certification Authority",
        "Amazon Root CA 1",
        "Amazon Root CA 2",
        "Amazon Root CA 3",
        "Amazon Root CA 4",
        "GlobalSign ECC Root CA - R4",
        "GlobalSign ECC Root CA - R5",
        "GlobalSign Root CA",
        "GlobalSign Root CA - R3",
        "GlobalSign Root CA - R6",
        "GlobalSign Root E46",
        "GlobalSign Root R46",
        "DigiCert Assured ID Root CA",
        "DigiCert Assured ID Root G2",
        "DigiCert Assured ID Root G3",
        "DigiCert Global Root CA",
        "DigiCert Global Root G2",
        "DigiCert Global Root G3",
        "DigiCert High Assurance EV Root CA",
        "DigiCert TLS ECC P384 Root G5",
        "DigiCert TLS RSA4096 Root G5",
        "DigiCert Trusted Root G4",
        "Entrust Root Certification Authority",
        "Entrust Root Certification Authority - EC1",
        "Entrust Root Certification Authority - G2",
        "ISRG Root X1",
        "USERTrust ECC Certification Authority",
        "USERTrust RSA Certification Authority",
    }
)
"""Their aliases, as in the recording rest-cert-v1.json of a P3265-V with AXIS OS 12.11.77."""

"""Well-known public roots that the maker ships in the CA list of its devices (device-api 10.2)."""

from typing import Final

PUBLIC_ROOTS: Final = frozenset(
    {
        "1793927a0614549789adce2f8f34f7f0b66d0f3ae3a3b84d21ec15dbba4fadc7",  # COMODO ECC Certification Authority
        "52f0e1c4e58ec629291b60317f074671b85d7ea80d5b07273463534b32b40234",  # COMODO RSA Certification Authority
        "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",  # Amazon Root CA 1
        "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",  # Amazon Root CA 2
        "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",  # Amazon Root CA 3
        "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",  # Amazon Root CA 4
        "bec94911c2955676db6c0a550986d76e3ba005667c442c9762b4fbb773de228c",  # GlobalSign ECC Root CA - R4
        "179fbc148a3dd00fd24ea13458cc43bfa7f59c8182d783a513f6ebec100c8924",  # GlobalSign ECC Root CA - R5
        "ebd41040e4bb3ec742c9e381d31ef2a41a48b6685c96e7cef3c1df6cd4331c99",  # GlobalSign Root CA
        "cbb522d7b7f127ad6a0113865bdf1cd4102e7d0759af635a7cf4720dc963c53b",  # GlobalSign Root CA - R3
        "2cabeafe37d06ca22aba7391c0033d25982952c453647349763a3ab5ad6ccf69",  # GlobalSign Root CA - R6
        "cbb9c44d84b8043e1050ea31a69f514955d7bfd2e2c6b49301019ad61d9f5058",  # GlobalSign Root E46
        "4fa3126d8d3a11d1c4855a4f807cbad6cf919d3a5a88b03bea2c6372d93c40c9",  # GlobalSign Root R46
        "3e9099b5015e8f486c00bcea9d111ee721faba355a89bcf1df69561e3dc6325c",  # DigiCert Assured ID Root CA
        "7d05ebb682339f8c9451ee094eebfefa7953a114edb2f44949452fab7d2fc185",  # DigiCert Assured ID Root G2
        "7e37cb8b4c47090cab36551ba6f45db840680fba166a952db100717f43053fc2",  # DigiCert Assured ID Root G3
        "4348a0e9444c78cb265e058d5e8944b4d84f9662bd26db257f8934a443c70161",  # DigiCert Global Root CA
        "cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f",  # DigiCert Global Root G2
        "31ad6648f8104138c738f39ea4320133393e3a18cc02296ef97c2ac9ef6731d0",  # DigiCert Global Root G3
        "7431e5f4c3c1ce4690774f0b61e05440883ba9a01ed00ba6abd7806ed3b118cf",  # DigiCert High Assurance EV Root CA
        "018e13f0772532cf809bd1b17281867283fc48c6e13be9c69812854a490c1b05",  # DigiCert TLS ECC P384 Root G5
        "371a00dc0533b3721a7eeb40e8419e70799d2b0a0f2c1d80693165f7cec4ad75",  # DigiCert TLS RSA4096 Root G5
        "552f7bdcf1a7af9e6ce672017f4f12abf77240c78e761ac203d1d9d20ac89988",  # DigiCert Trusted Root G4
        "73c176434f1bc6d5adf45b0e76e727287c8de57616c1e6e6141a2b2cbc7d8e4c",  # Entrust Root CA
        "02ed0eb28c14da45165c566791700d6451d7fb56f0b2ab1d3b8eb070e56edff5",  # Entrust Root CA - EC1
        "43df5774b03e7fef5fe40d931a7bedf1bb2e6b42738c4e6d3841103d3aa7f339",  # Entrust Root CA - G2
        "96bcec06264976f37460779acf28c5a7cfe8a3c0aae11a8ffcee05c0bddf08c6",  # ISRG Root X1
        "4ff460d54b9c86dabfbcfc5712e0400d2bed3fbc4d4fbdaa86e06adcd2a9ad7a",  # USERTrust ECC Certification Authority
        "e793c9b02fd8aa13e21c31228accb08119643b749c898964b1746d46c3d4cbd2",  # USERTrust RSA Certification Authority
    }
)
"""SHA-256 of each, hexadecimal (recording rest-cert-v1.json of a P3265-V with AXIS OS 12.11.77, in which they were
filled in from a current bundle by their names)."""

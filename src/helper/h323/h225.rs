//! The types of H.225.0 (ITU-T, module H323-MESSAGES) that stand before, or hold, the addresses of a call, as far as they have to be read to find them.
//!
//! What each message's additions hold is known as far as this kernel knows it. It was seen by sending messages with one addition more, and cut off at
//! each octet, beside it: behind a `StopAt` or an [`Addition::Stop`] nothing has to be there.

use super::h245::MULTIMEDIA_SYSTEM_CONTROL_MESSAGE;
use super::h245::OPEN_LOGICAL_CHANNEL;
use super::per::Addition::{Read, Skip, Stop};
use super::per::Type::{
    Address, Boolean, Characters, Containing, Integer, Noted, Null, ObjectIdentifier, Octets, Refused, Unbounded,
};
use super::per::{Mark, Size, Type};
use super::schema::{choice, list, sequence};
use crate::base::Family;

/// What a user-user element of Q.931 holds: H323-UserInformation.
pub(super) static USER_INFORMATION: Type = sequence! {
    [Must "h323-uu-pdu" UU_PDU, StopAtOptional "user-data" Null]
    [Stop]
};

/// What RAS sends.
pub(super) static RAS_MESSAGE: Type = choice! {
    [
        "gatekeeperRequest" Noted(Mark::GatekeeperRequest, &GATEKEEPER_REQUEST),
        "gatekeeperConfirm" Noted(Mark::GatekeeperConfirm, &GATEKEEPER_CONFIRM),
        "gatekeeperReject" Null,
        "registrationRequest" Noted(Mark::RegistrationRequest, &REGISTRATION_REQUEST),
        "registrationConfirm" Noted(Mark::RegistrationConfirm, &REGISTRATION_CONFIRM),
        "registrationReject" Null,
        "unregistrationRequest" Noted(Mark::UnregistrationRequest, &UNREGISTRATION_REQUEST),
        "unregistrationConfirm" Null,
        "unregistrationReject" Null,
        "admissionRequest" Noted(Mark::AdmissionRequest, &ADMISSION_REQUEST),
        "admissionConfirm" Noted(Mark::AdmissionConfirm, &ADMISSION_CONFIRM),
        "admissionReject" Null,
        "bandwidthRequest" Null,
        "bandwidthConfirm" Null,
        "bandwidthReject" Null,
        "disengageRequest" Null,
        "disengageConfirm" Null,
        "disengageReject" Null,
        "locationRequest" Noted(Mark::LocationRequest, &LOCATION_REQUEST),
        "locationConfirm" Noted(Mark::LocationConfirm, &LOCATION_CONFIRM),
        "locationReject" Null,
        "infoRequest" Null,
        "infoRequestResponse" Noted(Mark::InformationResponse, &INFORMATION_RESPONSE),
        "nonStandardMessage" Null,
        "unknownMessageResponse" Null
    ]
    []
};

static UU_PDU: Type = sequence! {
    [Must "h323-message-body" MESSAGE_BODY, May "nonStandardData" NON_STANDARD_PARAMETER]
    [Skip, Skip, Read(&TUNNEL), Stop]
};

static MESSAGE_BODY: Type = choice! {
    [
        "setup" Noted(Mark::Setup, &SETUP),
        "callProceeding" Noted(Mark::CallProceeding, &CALL_PROCEEDING),
        "connect" Noted(Mark::Connect, &CONNECT),
        "alerting" Noted(Mark::Alerting, &ALERTING),
        "information" INFORMATION,
        "releaseComplete" RELEASE_COMPLETE,
        "facility" Noted(Mark::Facility, &FACILITY)
    ]
    ["progress" Noted(Mark::Progress, &PROGRESS)]
};

/// Messages of H.245 that have no connection of their own.
static TUNNEL: Type = Noted(
    Mark::Tunnel,
    &list! { Size::Any, Containing(&MULTIMEDIA_SYSTEM_CONTROL_MESSAGE), 4 },
);

static FAST_START: Type = list! { Size::Any, Containing(&OPEN_LOGICAL_CHANNEL), 30 };

static SETUP: Type = sequence! {
    [
        Must "protocolIdentifier" ObjectIdentifier,
        May "h245Address" H245_ADDRESS,
        May "sourceAddress" ALIASES,
        Must "sourceInfo" ENDPOINT_TYPE,
        May "destinationAddress" ALIASES,
        May "destCallSignalAddress" Noted(Mark::DestinationCallSignalAddress, &TRANSPORT_ADDRESS),
        May "destExtraCallInfo" ALIASES,
        May "destExtraCRV" CALL_REFERENCES,
        Must "activeMC" Boolean,
        Must "conferenceID" IDENTIFIER,
        Must "conferenceGoal" CONFERENCE_GOAL,
        May "callServices" Q_SERIES_OPTIONS,
        Must "callType" CALL_TYPE
    ]
    [
        Read(&Noted(Mark::SourceCallSignalAddress, &TRANSPORT_ADDRESS)),
        Skip, Skip, Skip, Skip, Skip,
        Read(&FAST_START),
        Skip, Skip, Stop
    ]
};

static CALL_PROCEEDING: Type = sequence! {
    [Must "protocolIdentifier" ObjectIdentifier, Must "destinationInfo" ENDPOINT_TYPE, May "h245Address" H245_ADDRESS]
    [Skip, Skip, Skip, Skip, Read(&FAST_START), Skip, Skip, Skip, Skip]
};

static CONNECT: Type = sequence! {
    [
        Must "protocolIdentifier" ObjectIdentifier,
        May "h245Address" H245_ADDRESS,
        Must "destinationInfo" ENDPOINT_TYPE,
        Must "conferenceID" IDENTIFIER
    ]
    [
        Skip, Skip, Skip, Skip, Read(&FAST_START), Skip, Skip, Skip, Skip, Skip, Skip, Skip, Skip, Skip, Skip
    ]
};

static ALERTING: Type = sequence! {
    [Must "protocolIdentifier" ObjectIdentifier, Must "destinationInfo" ENDPOINT_TYPE, May "h245Address" H245_ADDRESS]
    [
        Skip, Skip, Skip, Skip, Read(&FAST_START), Skip, Skip, Skip, Skip, Skip, Skip, Skip, Skip, Skip
    ]
};

static INFORMATION: Type =
    sequence! { [Must "protocolIdentifier" ObjectIdentifier] [Skip, Skip, Skip, Skip, Skip, Skip] };

static RELEASE_COMPLETE: Type = sequence! {
    [Must "protocolIdentifier" ObjectIdentifier, May "reason" RELEASE_COMPLETE_REASON]
    [Skip, Skip, Skip, Skip, Skip, Skip, Skip, Skip, Skip]
};

static FACILITY: Type = sequence! {
    [
        Must "protocolIdentifier" ObjectIdentifier,
        May "alternativeAddress" Noted(Mark::AlternativeAddress, &TRANSPORT_ADDRESS),
        May "alternativeAliasAddress" ALIASES,
        May "conferenceID" IDENTIFIER,
        Must "reason" FACILITY_REASON
    ]
    [
        Skip, Skip, Skip, Skip, Skip, Skip, Read(&H245_ADDRESS), Read(&FAST_START),
        Skip, Skip, Skip, Skip, Skip, Skip, Skip, Skip
    ]
};

static PROGRESS: Type = sequence! {
    [
        Must "protocolIdentifier" ObjectIdentifier,
        Must "destinationInfo" ENDPOINT_TYPE,
        May "h245Address" H245_ADDRESS,
        Must "callIdentifier" CALL_IDENTIFIER,
        May "h245SecurityMode" H245_SECURITY,
        May "tokens" CLEAR_TOKENS,
        May "cryptoTokens" CRYPTO_TOKENS,
        May "fastStart" FAST_START
    ]
    [Skip, Skip, Skip]
};

static GATEKEEPER_REQUEST: Type = sequence! {
    [
        Must "requestSeqNum" REQUEST_NUMBER,
        Must "protocolIdentifier" ObjectIdentifier,
        May "nonStandardData" NON_STANDARD_PARAMETER,
        Must "rasAddress" RAS_ADDRESS,
        StopAt "endpointType" Null,
        StopAtOptional "gatekeeperIdentifier" Null,
        StopAtOptional "callServices" Null,
        StopAtOptional "endpointAlias" Null
    ]
    []
};

static GATEKEEPER_CONFIRM: Type = sequence! {
    [
        Must "requestSeqNum" REQUEST_NUMBER,
        Must "protocolIdentifier" ObjectIdentifier,
        May "nonStandardData" NON_STANDARD_PARAMETER,
        May "gatekeeperIdentifier" NAME,
        Must "rasAddress" RAS_ADDRESS
    ]
    [Stop]
};

static REGISTRATION_REQUEST: Type = sequence! {
    [
        Must "requestSeqNum" REQUEST_NUMBER,
        Must "protocolIdentifier" ObjectIdentifier,
        May "nonStandardData" NON_STANDARD_PARAMETER,
        Must "discoveryComplete" Boolean,
        Must "callSignalAddress" CALL_SIGNAL_ADDRESSES,
        Must "rasAddress" list! { Size::Any, Noted(Mark::RasAddress, &TRANSPORT_ADDRESS), 10 },
        Must "terminalType" ENDPOINT_TYPE,
        May "terminalAlias" ALIASES,
        May "gatekeeperIdentifier" NAME,
        Must "endpointVendor" VENDOR
    ]
    [Skip, Read(&TIME_TO_LIVE), Stop]
};

static REGISTRATION_CONFIRM: Type = sequence! {
    [
        Must "requestSeqNum" REQUEST_NUMBER,
        Must "protocolIdentifier" ObjectIdentifier,
        May "nonStandardData" NON_STANDARD_PARAMETER,
        Must "callSignalAddress" CALL_SIGNAL_ADDRESSES,
        May "terminalAlias" ALIASES,
        May "gatekeeperIdentifier" NAME,
        Must "endpointIdentifier" NAME
    ]
    [Skip, Read(&TIME_TO_LIVE), Stop]
};

static UNREGISTRATION_REQUEST: Type = sequence! {
    [
        Must "requestSeqNum" REQUEST_NUMBER,
        Must "callSignalAddress" CALL_SIGNAL_ADDRESSES,
        StopAtOptional "endpointAlias" Null,
        StopAtOptional "nonStandardData" Null,
        StopAtOptional "endpointIdentifier" Null
    ]
    []
};

static ADMISSION_REQUEST: Type = sequence! {
    [
        Must "requestSeqNum" REQUEST_NUMBER,
        Must "callType" CALL_TYPE,
        May "callModel" CALL_MODEL,
        Must "endpointIdentifier" NAME,
        May "destinationInfo" ALIASES,
        May "destCallSignalAddress" Noted(Mark::DestinationCallSignalAddress, &TRANSPORT_ADDRESS),
        May "destExtraCallInfo" ALIASES,
        Must "srcInfo" ALIASES,
        May "srcCallSignalAddress" Noted(Mark::SourceCallSignalAddress, &TRANSPORT_ADDRESS),
        StopAt "bandWidth" Null,
        StopAtOptional "nonStandardData" Null,
        StopAtOptional "callServices" Null
    ]
    []
};

static ADMISSION_CONFIRM: Type = sequence! {
    [
        Must "requestSeqNum" REQUEST_NUMBER,
        Must "bandWidth" Integer { low: 0, high: u32::MAX },
        Must "callModel" CALL_MODEL,
        Must "destCallSignalAddress" Noted(Mark::DestinationCallSignalAddress, &TRANSPORT_ADDRESS),
        StopAtOptional "irrFrequency" Null,
        StopAtOptional "nonStandardData" Null
    ]
    []
};

static LOCATION_REQUEST: Type = sequence! {
    [
        Must "requestSeqNum" REQUEST_NUMBER,
        May "endpointIdentifier" NAME,
        Must "destinationInfo" ALIASES,
        May "nonStandardData" NON_STANDARD_PARAMETER,
        Must "replyAddress" Noted(Mark::ReplyAddress, &TRANSPORT_ADDRESS)
    ]
    [Stop]
};

static LOCATION_CONFIRM: Type = sequence! {
    [
        Must "requestSeqNum" REQUEST_NUMBER,
        Must "callSignalAddress" CALL_SIGNAL_ADDRESS,
        Must "rasAddress" RAS_ADDRESS,
        StopAtOptional "nonStandardData" Null
    ]
    []
};

static INFORMATION_RESPONSE: Type = sequence! {
    [
        May "nonStandardData" NON_STANDARD_PARAMETER,
        Must "requestSeqNum" REQUEST_NUMBER,
        Must "endpointType" ENDPOINT_TYPE,
        Must "endpointIdentifier" NAME,
        Must "rasAddress" RAS_ADDRESS,
        Must "callSignalAddress" CALL_SIGNAL_ADDRESSES,
        StopAtOptional "endpointAlias" Null,
        StopAtOptional "perCallInfo" Null
    ]
    []
};

static H245_ADDRESS: Type = Noted(Mark::H245Address, &TRANSPORT_ADDRESS);
static RAS_ADDRESS: Type = Noted(Mark::RasAddress, &TRANSPORT_ADDRESS);
static CALL_SIGNAL_ADDRESS: Type = Noted(Mark::CallSignalAddress, &TRANSPORT_ADDRESS);
static CALL_SIGNAL_ADDRESSES: Type = list! { Size::Any, CALL_SIGNAL_ADDRESS, 10 };
static TIME_TO_LIVE: Type = Noted(Mark::TimeToLive, &Integer { low: 1, high: u32::MAX });

static TRANSPORT_ADDRESS: Type = choice! {
    [
        "ipAddress" sequence! { [Must "ip" Address(Family::V4), Must "port" PORT] },
        "ipSourceRoute" sequence! {
            [
                Must "ip" Octets(Size::Fixed(4)),
                Must "port" PORT,
                Must "route" list! { Size::Any, Octets(Size::Fixed(4)), 0 },
                Must "routing" choice! { ["strict" Null, "loose" Null] [] }
            ]
            []
        },
        "ipxAddress" sequence! {
            [
                Must "node" Octets(Size::Fixed(6)),
                Must "netnum" Octets(Size::Fixed(4)),
                Must "port" Octets(Size::Fixed(2))
            ]
        },
        "ip6Address" sequence! { [Must "ip" Address(Family::V6), Must "port" PORT] [] },
        "netBios" Octets(Size::Fixed(16)),
        "nsap" Octets(Size::Between(1, 20)),
        "nonStandardAddress" NON_STANDARD_PARAMETER
    ]
    []
};

static ALIASES: Type = list! { Size::Any, ALIAS, 0 };
static ALIAS: Type = choice! {
    ["dialledDigits" Characters(4, Size::Between(1, 128)), "h323-ID" Characters(16, Size::Between(1, 256))]
    []
};

static ENDPOINT_TYPE: Type = sequence! {
    [
        May "nonStandardData" NON_STANDARD_PARAMETER,
        May "vendor" VENDOR,
        May "gatekeeper" OF_NON_STANDARD_DATA,
        May "gateway" sequence! {
            [
                May "protocol" list! { Size::Any, SUPPORTED_PROTOCOL, 0 },
                May "nonStandardData" NON_STANDARD_PARAMETER
            ]
            []
        },
        May "mcu" sequence! { [May "nonStandardData" NON_STANDARD_PARAMETER] [Skip] },
        May "terminal" OF_NON_STANDARD_DATA,
        Must "mc" Boolean,
        Must "undefinedNode" Boolean
    ]
    [Skip, Skip]
};

static OF_NON_STANDARD_DATA: Type = sequence! { [May "nonStandardData" NON_STANDARD_PARAMETER] [] };

static SUPPORTED_PROTOCOL: Type = choice! {
    [
        "nonStandardData" NON_STANDARD_PARAMETER,
        "h310" CAPABILITIES,
        "h320" CAPABILITIES,
        "h321" CAPABILITIES,
        "h322" CAPABILITIES,
        "h323" CAPABILITIES,
        "h324" CAPABILITIES,
        "voice" CAPABILITIES,
        "t120-only" CAPABILITIES
    ]
    []
};

static CAPABILITIES: Type = sequence! { [May "nonStandardData" NON_STANDARD_PARAMETER] [Skip, Skip] };

static VENDOR: Type = sequence! {
    [
        Must "vendor" H221_NON_STANDARD,
        May "productId" Octets(Size::Between(1, 256)),
        May "versionId" Octets(Size::Between(1, 256))
    ]
    []
};

static H221_NON_STANDARD: Type = sequence! {
    [Must "t35CountryCode" OCTET, Must "t35Extension" OCTET, Must "manufacturerCode" PORT]
    []
};

static NON_STANDARD_PARAMETER: Type = sequence! {
    [
        Must "nonStandardIdentifier" choice! { ["object" ObjectIdentifier, "h221NonStandard" H221_NON_STANDARD] [] },
        Must "data" Octets(Size::Any)
    ]
};

static CONFERENCE_GOAL: Type = choice! { ["create" Null, "join" Null, "invite" Null] [] };

static CALL_TYPE: Type = choice! { ["pointToPoint" Null, "oneToN" Null, "nToOne" Null, "nToN" Null] [] };

static CALL_MODEL: Type = choice! { ["direct" Null, "gatekeeperRouted" Null] [] };

static CALL_REFERENCES: Type = list! { Size::Any, PORT, 0 };

static Q_SERIES_OPTIONS: Type = sequence! {
    [
        Must "q932Full" Boolean,
        Must "q951Full" Boolean,
        Must "q952Full" Boolean,
        Must "q953Full" Boolean,
        Must "q955Full" Boolean,
        Must "q956Full" Boolean,
        Must "q957Full" Boolean,
        Must "q954Info" sequence! { [Must "conferenceCalling" Boolean, Must "threePartyService" Boolean] [] }
    ]
    []
};

static FACILITY_REASON: Type = choice! {
    [
        "routeCallToGatekeeper" Null,
        "callForwarded" Noted(Mark::CallForwarded, &Null),
        "routeCallToMC" Null,
        "undefinedReason" Null
    ]
    []
};

static RELEASE_COMPLETE_REASON: Type = choice! {
    [
        "noBandwidth" Null,
        "gatekeeperResources" Null,
        "unreachableDestination" Null,
        "destinationRejection" Null,
        "invalidRevision" Null,
        "noPermission" Null,
        "unreachableGatekeeper" Null,
        "gatewayResources" Null,
        "badFormatAddress" Null,
        "adaptiveBusy" Null,
        "inConf" Null,
        "undefinedReason" Null
    ]
    []
};

static CALL_IDENTIFIER: Type = sequence! { [Must "guid" IDENTIFIER] [] };

static H245_SECURITY: Type = choice! {
    [
        "nonStandard" NON_STANDARD_PARAMETER,
        "noSecurity" Null,
        "tls" SECURITY_CAPABILITIES,
        "ipsec" SECURITY_CAPABILITIES
    ]
    []
};

static SECURITY_CAPABILITIES: Type = sequence! {
    [
        May "nonStandard" NON_STANDARD_PARAMETER,
        Must "encryption" SECURITY_SERVICE_MODE,
        Must "authenticaton" SECURITY_SERVICE_MODE,
        Must "integrity" SECURITY_SERVICE_MODE
    ]
    []
};

static SECURITY_SERVICE_MODE: Type = choice! {
    ["nonStandard" NON_STANDARD_PARAMETER, "none" Null, "default" Null]
    []
};

static CLEAR_TOKENS: Type = list! { Size::Any, CLEAR_TOKEN, 0 };

static CLEAR_TOKEN: Type = sequence! {
    [
        Must "tokenOID" ObjectIdentifier,
        May "timeStamp" TIME_STAMP,
        May "password" NAME,
        May "dhkey" sequence! { [Must "halfkey" KEY, Must "modSize" KEY, Must "generator" KEY] [] },
        May "challenge" Octets(Size::Between(8, 128)),
        May "random" Unbounded,
        May "certificate" sequence! { [Must "type" ObjectIdentifier, Must "certificate" Octets(Size::Any)] [] },
        May "generalID" NAME,
        May "nonStandard" NON_STANDARD_PARAMETER
    ]
    [Skip, Skip]
};

static KEY: Type = Type::Bits(Size::Between(0, 2048));

static CRYPTO_TOKENS: Type = list! { Size::Any, CRYPTO_H323_TOKEN, 0 };

static CRYPTO_H323_TOKEN: Type = choice! {
    [
        "cryptoEPPwdHash" sequence! { [Must "alias" ALIAS, Must "timeStamp" TIME_STAMP, Must "token" HASHED] },
        "cryptoGKPwdHash" sequence! { [Must "gatekeeperId" NAME, Must "timeStamp" TIME_STAMP, Must "token" HASHED] },
        "cryptoEPPwdEncr" ENCRYPTED,
        "cryptoGKPwdEncr" ENCRYPTED,
        "cryptoEPCert" Refused,
        "cryptoGKCert" Refused,
        "cryptoFastStart" Refused,
        "nestedcryptoToken" CRYPTO_TOKEN
    ]
    []
};

static CRYPTO_TOKEN: Type = choice! {
    [
        "cryptoEncryptedToken" sequence! { [Must "tokenOID" ObjectIdentifier, Must "token" ENCRYPTED] },
        "cryptoSignedToken" sequence! { [Must "tokenOID" ObjectIdentifier, Must "token" SIGNED] },
        "cryptoHashedToken" sequence! {
            [Must "tokenOID" ObjectIdentifier, Must "hashedVals" CLEAR_TOKEN, Must "token" HASHED]
        },
        "cryptoPwdEncr" ENCRYPTED
    ]
    []
};

static HASHED: Type = sequence! {
    [Must "algorithmOID" ObjectIdentifier, Must "paramS" PARAMETERS, Must "hash" Type::Bits(Size::Any)]
};

static ENCRYPTED: Type = sequence! {
    [Must "algorithmOID" ObjectIdentifier, Must "paramS" PARAMETERS, Must "encryptedData" Octets(Size::Any)]
};

static SIGNED: Type = sequence! {
    [
        Must "toBeSigned" Octets(Size::Any),
        Must "algorithmOID" ObjectIdentifier,
        Must "paramS" PARAMETERS,
        Must "signature" Type::Bits(Size::Any)
    ]
};

static PARAMETERS: Type = sequence! {
    [May "ranInt" Unbounded, May "iv8" Octets(Size::Fixed(8))]
    []
};

static IDENTIFIER: Type = Octets(Size::Fixed(16));
static NAME: Type = Characters(16, Size::Between(1, 128));
static PORT: Type = Integer { low: 0, high: 0xffff };
static OCTET: Type = Integer { low: 0, high: 0xff };
static REQUEST_NUMBER: Type = Integer { low: 1, high: 0xffff };
static TIME_STAMP: Type = Integer { low: 1, high: u32::MAX };

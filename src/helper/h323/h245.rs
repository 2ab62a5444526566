//! The types of H.245 (ITU-T, module MULTIMEDIA-SYSTEM-CONTROL) that open a logical channel, as far as they have to be read to find where its media go.
//!
//! How it is known what the kernel knows of additions is told in `h225`.

use super::per::Addition::{Read, Skip, Stop};
use super::per::Type::{Address, Boolean, Characters, Integer, Noted, Null, ObjectIdentifier, Octets};
use super::per::{Mark, Size, Type};
use super::schema::{choice, list, sequence};
use crate::base::Family;

/// A message of a control channel. What opens no channel is not read.
pub(super) static MULTIMEDIA_SYSTEM_CONTROL_MESSAGE: Type = choice! {
    [
        "request" choice! {
            [
                "nonStandard" Null,
                "masterSlaveDetermination" Null,
                "terminalCapabilitySet" Null,
                "openLogicalChannel" Noted(Mark::OpenLogicalChannel, &OPEN),
                "closeLogicalChannel" Null,
                "requestChannelClose" Null,
                "multiplexEntrySend" Null,
                "requestMultiplexEntry" Null,
                "requestMode" Null,
                "roundTripDelayRequest" Null,
                "maintenanceLoopRequest" Null
            ]
            []
        },
        "response" choice! {
            [
                "nonStandard" Null,
                "masterSlaveDeterminationAck" Null,
                "masterSlaveDeterminationReject" Null,
                "terminalCapabilitySetAck" Null,
                "terminalCapabilitySetReject" Null,
                "openLogicalChannelAck" Noted(Mark::OpenLogicalChannelAck, &OPEN_ACK),
                "openLogicalChannelReject" Null,
                "closeLogicalChannelAck" Null,
                "requestChannelCloseAck" Null,
                "requestChannelCloseReject" Null,
                "multiplexEntrySendAck" Null,
                "multiplexEntrySendReject" Null,
                "requestMultiplexEntryAck" Null,
                "requestMultiplexEntryReject" Null,
                "requestModeAck" Null,
                "requestModeReject" Null,
                "roundTripDelayResponse" Null,
                "maintenanceLoopAck" Null,
                "maintenanceLoopReject" Null
            ]
            []
        },
        "command" Null,
        "indication" Null
    ]
    []
};

/// What a fast start proposes.
pub(super) static OPEN_LOGICAL_CHANNEL: Type = Noted(Mark::OpenLogicalChannel, &OPEN);

static OPEN: Type = sequence! {
    [
        Must "forwardLogicalChannelNumber" CHANNEL_NUMBER,
        Must "forwardLogicalChannelParameters" sequence! {
            [
                May "portNumber" PORT,
                Must "dataType" DATA_TYPE,
                Must "multiplexParameters" choice! {
                    [
                        "h222LogicalChannelParameters" H222_PARAMETERS,
                        "h223LogicalChannelParameters" H223_PARAMETERS,
                        "v76LogicalChannelParameters" V76_PARAMETERS
                    ]
                    ["h2250LogicalChannelParameters" H2250_PARAMETERS]
                }
            ]
            [Skip, Skip]
        },
        May "reverseLogicalChannelParameters" Noted(Mark::ReverseParameters, &sequence! {
            [
                Must "dataType" DATA_TYPE,
                May "multiplexParameters" choice! {
                    [
                        "h223LogicalChannelParameters" H223_PARAMETERS,
                        "v76LogicalChannelParameters" V76_PARAMETERS
                    ]
                    ["h2250LogicalChannelParameters" H2250_PARAMETERS]
                }
            ]
            [Skip, Skip]
        })
    ]
    [Read(&SEPARATE_STACK), Stop]
};

static OPEN_ACK: Type = sequence! {
    [
        Must "forwardLogicalChannelNumber" CHANNEL_NUMBER,
        May "reverseLogicalChannelParameters" sequence! {
            [
                Must "reverseLogicalChannelNumber" CHANNEL_NUMBER,
                May "portNumber" PORT,
                May "multiplexParameters" choice! {
                    ["h222LogicalChannelParameters" H222_PARAMETERS]
                    ["h2250LogicalChannelParameters" H2250_PARAMETERS]
                }
            ]
            [Skip]
        }
    ]
    [
        Read(&SEPARATE_STACK),
        Read(&choice! {
            ["h2250LogicalChannelAckParameters" H2250_ACK_PARAMETERS]
            []
        }),
        Stop
    ]
};

static H2250_PARAMETERS: Type = sequence! {
    [
        May "nonStandard" NON_STANDARD_PARAMETERS,
        Must "sessionID" OCTET,
        May "associatedSessionID" Integer { low: 1, high: 255 },
        May "mediaChannel" Noted(Mark::MediaChannel, &TRANSPORT_ADDRESS),
        May "mediaGuaranteedDelivery" Boolean,
        May "mediaControlChannel" Noted(Mark::MediaControlChannel, &TRANSPORT_ADDRESS),
        May "mediaControlGuaranteedDelivery" Boolean,
        May "silenceSuppression" Boolean,
        StopAtOptional "destination" Null,
        StopAtOptional "dynamicRTPPayloadType" Null,
        StopAtOptional "mediaPacketization" Null
    ]
    []
};

static H2250_ACK_PARAMETERS: Type = sequence! {
    [
        May "nonStandard" NON_STANDARD_PARAMETERS,
        May "sessionID" Integer { low: 1, high: 255 },
        May "mediaChannel" Noted(Mark::MediaChannel, &TRANSPORT_ADDRESS),
        May "mediaControlChannel" Noted(Mark::MediaControlChannel, &TRANSPORT_ADDRESS),
        May "dynamicRTPPayloadType" Integer { low: 96, high: 127 }
    ]
    [Skip, Skip]
};

static SEPARATE_STACK: Type = sequence! {
    [
        May "distribution" choice! { ["unicast" Null, "multicast" Null] [] },
        Must "networkAddress" choice! {
            [
                "q2931Address" sequence! {
                    [
                        Must "address" choice! {
                            [
                                "internationalNumber" Characters(4, Size::Between(1, 16)),
                                "nsapAddress" Octets(Size::Between(1, 20))
                            ]
                            []
                        },
                        May "subaddress" Octets(Size::Between(1, 20))
                    ]
                    []
                },
                "e164Address" Characters(4, Size::Between(1, 128)),
                "localAreaAddress" Noted(Mark::SeparateStack, &TRANSPORT_ADDRESS)
            ]
            []
        },
        Must "associateConference" Boolean,
        May "externalReference" Octets(Size::Between(1, 255))
    ]
    [Skip]
};

static TRANSPORT_ADDRESS: Type = choice! {
    [
        "unicastAddress" choice! {
            [
                "iPAddress" sequence! { [Must "network" Address(Family::V4), Must "tsapIdentifier" PORT] [] },
                "iPXAddress" sequence! {
                    [
                        Must "node" Octets(Size::Fixed(6)),
                        Must "netnum" Octets(Size::Fixed(4)),
                        Must "tsapIdentifier" Octets(Size::Fixed(2))
                    ]
                    []
                },
                "iP6Address" sequence! { [Must "network" Address(Family::V6), Must "tsapIdentifier" PORT] [] },
                "netBios" Octets(Size::Fixed(16)),
                "iPSourceRouteAddress" sequence! {
                    [
                        Must "routing" choice! { ["strict" Null, "loose" Null] },
                        Must "network" Octets(Size::Fixed(4)),
                        Must "tsapIdentifier" PORT,
                        Must "route" list! { Size::Any, Octets(Size::Fixed(4)), 0 }
                    ]
                    []
                }
            ]
            []
        },
        "multicastAddress" choice! {
            [
                "iPAddress" sequence! { [Must "network" Octets(Size::Fixed(4)), Must "tsapIdentifier" PORT] [] },
                "iP6Address" sequence! { [Must "network" Octets(Size::Fixed(16)), Must "tsapIdentifier" PORT] [] }
            ]
            []
        }
    ]
    []
};

static DATA_TYPE: Type = choice! {
    [
        "nonStandard" NON_STANDARD_PARAMETER,
        "nullData" Null,
        "videoData" VIDEO_CAPABILITY,
        "audioData" AUDIO_CAPABILITY,
        "data" sequence! { [Must "application" APPLICATION, Must "maxBitRate" LONG] [] },
        "encryptionData" choice! { ["nonStandard" NON_STANDARD_PARAMETER, "h233Encryption" Null] [] }
    ]
    []
};

static APPLICATION: Type = choice! {
    [
        "nonStandard" NON_STANDARD_PARAMETER,
        "t120" choice! {
            [
                "nonStandard" NON_STANDARD_PARAMETER,
                "v14buffered" Null,
                "v42lapm" Null,
                "hdlcFrameTunnelling" Null,
                "h310SeparateVCStack" Null,
                "h310SingleVCStack" Null,
                "transparent" Null
            ]
            [
                "segmentationAndReassembly" Null,
                "hdlcFrameTunnelingwSAR" Null,
                "v120" Null,
                "separateLANStack" Noted(Mark::T120SeparateLanStack, &Null)
            ]
        },
        "dsm-cc" DATA_PROTOCOL,
        "userData" DATA_PROTOCOL,
        "t84" sequence! {
            [
                Must "t84Protocol" DATA_PROTOCOL,
                Must "t84Profile" choice! {
                    [
                        "t84Unrestricted" Null,
                        "t84Restricted" sequence! {
                            [
                                Must "qcif" Boolean,
                                Must "cif" Boolean,
                                Must "ccir601Seq" Boolean,
                                Must "ccir601Prog" Boolean,
                                Must "hdtvSeq" Boolean,
                                Must "hdtvProg" Boolean,
                                Must "g3FacsMH200x100" Boolean,
                                Must "g3FacsMH200x200" Boolean,
                                Must "g4FacsMMR200x100" Boolean,
                                Must "g4FacsMMR200x200" Boolean,
                                Must "jbig200x200Seq" Boolean,
                                Must "jbig200x200Prog" Boolean,
                                Must "jbig300x300Seq" Boolean,
                                Must "jbig300x300Prog" Boolean,
                                Must "digPhotoLow" Boolean,
                                Must "digPhotoMedSeq" Boolean,
                                Must "digPhotoMedProg" Boolean,
                                Must "digPhotoHighSeq" Boolean,
                                Must "digPhotoHighProg" Boolean
                            ]
                            []
                        }
                    ]
                }
            ]
        },
        "t434" DATA_PROTOCOL,
        "h224" DATA_PROTOCOL,
        "nlpid" sequence! { [Must "nlpidProtocol" DATA_PROTOCOL, Must "nlpidData" Octets(Size::Any)] },
        "dsvdControl" Null,
        "h222DataPartitioning" DATA_PROTOCOL
    ]
    []
};

static DATA_PROTOCOL: Type = choice! {
    [
        "nonStandard" NON_STANDARD_PARAMETER,
        "v14buffered" Null,
        "v42lapm" Null,
        "hdlcFrameTunnelling" Null,
        "h310SeparateVCStack" Null,
        "h310SingleVCStack" Null,
        "transparent" Null
    ]
    []
};

static VIDEO_CAPABILITY: Type = choice! {
    [
        "nonStandard" NON_STANDARD_PARAMETER,
        "h261VideoCapability" sequence! {
            [
                May "qcifMPI" Integer { low: 1, high: 4 },
                May "cifMPI" Integer { low: 1, high: 4 },
                Must "temporalSpatialTradeOffCapability" Boolean,
                Must "maxBitRate" Integer { low: 1, high: 19_200 },
                Must "stillImageTransmission" Boolean
            ]
            [Skip]
        },
        "h262VideoCapability" sequence! {
            [
                Must "profileAndLevel-SPatML" Boolean,
                Must "profileAndLevel-MPatLL" Boolean,
                Must "profileAndLevel-MPatML" Boolean,
                Must "profileAndLevel-MPatH-14" Boolean,
                Must "profileAndLevel-MPatHL" Boolean,
                Must "profileAndLevel-SNRatLL" Boolean,
                Must "profileAndLevel-SNRatML" Boolean,
                Must "profileAndLevel-SpatialatH-14" Boolean,
                Must "profileAndLevel-HPatML" Boolean,
                Must "profileAndLevel-HPatH-14" Boolean,
                Must "profileAndLevel-HPatHL" Boolean,
                May "videoBitRate" Integer { low: 0, high: 0x3fff_ffff },
                May "vbvBufferSize" Integer { low: 0, high: 0x3_ffff },
                May "samplesPerLine" Integer { low: 0, high: 0x3fff },
                May "linesPerFrame" Integer { low: 0, high: 0x3fff },
                May "framesPerSecond" Integer { low: 0, high: 15 },
                May "luminanceSampleRate" LONG
            ]
            [Skip]
        },
        "h263VideoCapability" sequence! {
            [
                May "sqcifMPI" MPI,
                May "qcifMPI" MPI,
                May "cifMPI" MPI,
                May "cif4MPI" MPI,
                May "cif16MPI" MPI,
                Must "maxBitRate" Integer { low: 1, high: 192_400 },
                Must "unrestrictedVector" Boolean,
                Must "arithmeticCoding" Boolean,
                Must "advancedPrediction" Boolean,
                Must "pbFrames" Boolean,
                Must "temporalSpatialTradeOffCapability" Boolean,
                May "hrd-B" Integer { low: 0, high: 0x7_ffff },
                May "bppMaxKb" PORT
            ]
            [Skip, Skip, Skip, Skip, Skip, Skip, Skip, Skip]
        },
        "is11172VideoCapability" sequence! {
            [
                Must "constrainedBitstream" Boolean,
                May "videoBitRate" Integer { low: 0, high: 0x3fff_ffff },
                May "vbvBufferSize" Integer { low: 0, high: 0x3_ffff },
                May "samplesPerLine" Integer { low: 0, high: 0x3fff },
                May "linesPerFrame" Integer { low: 0, high: 0x3fff },
                May "pictureRate" Integer { low: 0, high: 15 },
                May "luminanceSampleRate" LONG
            ]
            [Skip]
        }
    ]
    []
};

static AUDIO_CAPABILITY: Type = choice! {
    [
        "nonStandard" NON_STANDARD_PARAMETER,
        "g711Alaw64k" FRAMES,
        "g711Alaw56k" FRAMES,
        "g711Ulaw64k" FRAMES,
        "g711Ulaw56k" FRAMES,
        "g722-64k" FRAMES,
        "g722-56k" FRAMES,
        "g722-48k" FRAMES,
        "g7231" sequence! { [Must "maxAl-sduAudioFrames" FRAMES, Must "silenceSuppression" Boolean] },
        "g728" FRAMES,
        "g729" FRAMES,
        "g729AnnexA" FRAMES,
        "is11172AudioCapability" sequence! {
            [
                Must "audioLayer1" Boolean,
                Must "audioLayer2" Boolean,
                Must "audioLayer3" Boolean,
                Must "audioSampling32k" Boolean,
                Must "audioSampling44k1" Boolean,
                Must "audioSampling48k" Boolean,
                Must "singleChannel" Boolean,
                Must "twoChannels" Boolean,
                Must "bitRate" Integer { low: 1, high: 448 }
            ]
            []
        },
        "is13818AudioCapability" sequence! {
            [
                Must "audioLayer1" Boolean,
                Must "audioLayer2" Boolean,
                Must "audioLayer3" Boolean,
                Must "audioSampling16k" Boolean,
                Must "audioSampling22k05" Boolean,
                Must "audioSampling24k" Boolean,
                Must "audioSampling32k" Boolean,
                Must "audioSampling44k1" Boolean,
                Must "audioSampling48k" Boolean,
                Must "singleChannel" Boolean,
                Must "twoChannels" Boolean,
                Must "threeChannels2-1" Boolean,
                Must "threeChannels3-0" Boolean,
                Must "fourChannels2-0-2-0" Boolean,
                Must "fourChannels2-2" Boolean,
                Must "fourChannels3-1" Boolean,
                Must "fiveChannels3-0-2-0" Boolean,
                Must "fiveChannels3-2" Boolean,
                Must "lowFrequencyEnhancement" Boolean,
                Must "multilingual" Boolean,
                Must "bitRate" Integer { low: 1, high: 1130 }
            ]
            []
        }
    ]
    []
};

static H222_PARAMETERS: Type = sequence! {
    [
        Must "resourceID" PORT,
        Must "subChannelID" Integer { low: 0, high: 8191 },
        May "pcr-pid" Integer { low: 0, high: 8191 },
        May "programDescriptors" Octets(Size::Any),
        May "streamDescriptors" Octets(Size::Any)
    ]
    []
};

static H223_PARAMETERS: Type = sequence! {
    [
        Must "adaptationLayerType" choice! {
            [
                "nonStandard" NON_STANDARD_PARAMETER,
                "al1Framed" Null,
                "al1NotFramed" Null,
                "al2WithoutSequenceNumbers" Null,
                "al2WithSequenceNumbers" Null,
                "al3" sequence! {
                    [
                        Must "controlFieldOctets" Integer { low: 0, high: 2 },
                        Must "sendBufferSize" Integer { low: 0, high: 0xff_ffff }
                    ]
                }
            ]
            []
        },
        Must "segmentableFlag" Boolean
    ]
    []
};

static V76_PARAMETERS: Type = sequence! {
    [
        Must "hdlcParameters" sequence! {
            [
                Must "crcLength" choice! { ["crc8bit" Null, "crc16bit" Null, "crc32bit" Null] [] },
                Must "n401" Integer { low: 1, high: 4095 },
                Must "loopbackTestProcedure" Boolean
            ]
            []
        },
        Must "suspendResume" choice! {
            ["noSuspendResume" Null, "suspendResumewAddress" Null, "suspendResumewoAddress" Null]
            []
        },
        Must "uIH" Boolean,
        Must "mode" choice! {
            [
                "eRM" sequence! {
                    [
                        Must "windowSize" Integer { low: 1, high: 127 },
                        Must "recovery" choice! { ["rej" Null, "sREJ" Null, "mSREJ" Null] [] }
                    ]
                    []
                },
                "uNERM" Null
            ]
            []
        },
        Must "v75Parameters" sequence! { [Must "audioHeaderPresent" Boolean] [] }
    ]
    []
};

static NON_STANDARD_PARAMETERS: Type = list! { Size::Any, NON_STANDARD_PARAMETER, 0 };

static NON_STANDARD_PARAMETER: Type = sequence! {
    [
        Must "nonStandardIdentifier" choice! {
            [
                "object" ObjectIdentifier,
                "h221NonStandard" sequence! {
                    [Must "t35CountryCode" OCTET, Must "t35Extension" OCTET, Must "manufacturerCode" PORT]
                }
            ]
        },
        Must "data" Octets(Size::Any)
    ]
};

static CHANNEL_NUMBER: Type = Integer { low: 1, high: 0xffff };
static PORT: Type = Integer { low: 0, high: 0xffff };
static OCTET: Type = Integer { low: 0, high: 0xff };
static LONG: Type = Integer { low: 0, high: u32::MAX };
static FRAMES: Type = Integer { low: 1, high: 256 };
static MPI: Type = Integer { low: 1, high: 32 };

/**
 * Schemas of the log's rows by fingerprint, and of the signed messages in them.
 *
 * Made by `python -m hub.console.verifier` from schemas/store and schemas/wire.
 */

export const STORE = {
 "165b0ca20d33cfa9": {
  "topic": "nrm.Agency.Enrolled",
  "schema": {
   "type": "record",
   "name": "Enrolled",
   "namespace": "nrm.Agency",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "name",
     "type": "string"
    },
    {
     "name": "role",
     "type": "string"
    },
    {
     "name": "request",
     "type": "bytes"
    },
    {
     "name": "public",
     "type": {
      "type": "fixed",
      "name": "PublicKey",
      "size": 32
     }
    },
    {
     "name": "key_id",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "sealing_public",
     "type": "bytes"
    },
    {
     "name": "by",
     "type": "string"
    }
   ]
  }
 },
 "a5092be784471fda": {
  "topic": "nrm.Agency.KeyAdded",
  "schema": {
   "type": "record",
   "name": "KeyAdded",
   "namespace": "nrm.Agency",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "public",
     "type": {
      "type": "fixed",
      "name": "PublicKey",
      "size": 32
     }
    },
    {
     "name": "key_id",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "by",
     "type": "string"
    },
    {
     "name": "request",
     "type": "bytes"
    }
   ]
  }
 },
 "5ed1147b0a1a8e0e": {
  "topic": "nrm.Agency.KeyRevoked",
  "schema": {
   "type": "record",
   "name": "KeyRevoked",
   "namespace": "nrm.Agency",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "key_id",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "reason",
     "type": "string"
    },
    {
     "name": "by",
     "type": "string"
    }
   ]
  }
 },
 "a81514af27fa246e": {
  "topic": "nrm.Agency.Requested",
  "schema": {
   "type": "record",
   "name": "Requested",
   "namespace": "nrm.Agency",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "name",
     "type": "string"
    },
    {
     "name": "role",
     "type": "string"
    },
    {
     "name": "request",
     "type": "bytes"
    },
    {
     "name": "public",
     "type": {
      "type": "fixed",
      "name": "PublicKey",
      "size": 32
     }
    },
    {
     "name": "key_id",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "sealing_public",
     "type": "bytes"
    },
    {
     "name": "by",
     "type": "string"
    }
   ]
  }
 },
 "5dbb02a9bcf6aa22": {
  "topic": "nrm.Agency.SealingKeyChanged",
  "schema": {
   "type": "record",
   "name": "SealingKeyChanged",
   "namespace": "nrm.Agency",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "sealing_public",
     "type": "bytes"
    },
    {
     "name": "by",
     "type": "string"
    }
   ]
  }
 },
 "b613b792efe0f382": {
  "topic": "nrm.Agreement.Ended",
  "schema": {
   "type": "record",
   "name": "Ended",
   "namespace": "nrm.Agreement",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "agreement",
     "type": "string"
    },
    {
     "name": "reason",
     "type": "string"
    },
    {
     "name": "by",
     "type": "string"
    }
   ]
  }
 },
 "fc1f3d1ccc2cddf2": {
  "topic": "nrm.Agreement.Signed",
  "schema": {
   "type": "record",
   "name": "Signed",
   "namespace": "nrm.Agreement",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "agreement",
     "type": "string"
    },
    {
     "name": "by",
     "type": "string"
    }
   ]
  }
 },
 "731318f706ab1b8e": {
  "topic": "nrm.Case.EventAccepted",
  "schema": {
   "type": "record",
   "name": "EventAccepted",
   "namespace": "nrm.Case",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "event_id",
     "type": {
      "type": "fixed",
      "name": "Id",
      "size": 16
     }
    },
    {
     "name": "event_type",
     "type": "string"
    },
    {
     "name": "emitter",
     "type": "string"
    },
    {
     "name": "role",
     "type": "string"
    },
    {
     "name": "schema_id",
     "type": {
      "type": "fixed",
      "name": "Hash",
      "size": 32
     }
    },
    {
     "name": "header",
     "type": "bytes"
    },
    {
     "name": "head",
     "type": "bytes"
    },
    {
     "name": "signature",
     "type": {
      "type": "fixed",
      "name": "Signature",
      "size": 64
     }
    },
    {
     "name": "index",
     "type": "long"
    },
    {
     "name": "path",
     "type": {
      "type": "array",
      "items": "Hash"
     }
    },
    {
     "name": "leaves",
     "type": {
      "type": "array",
      "items": "Hash"
     }
    },
    {
     "name": "compartments",
     "type": {
      "type": "array",
      "items": {
       "type": "record",
       "name": "SealedCompartment",
       "fields": [
        {
         "name": "name",
         "type": "string"
        },
        {
         "name": "index",
         "type": "long"
        },
        {
         "name": "ciphertext",
         "type": "bytes"
        }
       ]
      }
     }
    },
    {
     "name": "categories",
     "type": {
      "type": "array",
      "items": "string"
     }
    },
    {
     "name": "facts",
     "type": "bytes"
    },
    {
     "name": "personal",
     "type": "bytes"
    },
    {
     "name": "subject_id",
     "type": "Id"
    },
    {
     "name": "secret_id",
     "type": "Id"
    },
    {
     "name": "occurred_at",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "digest",
     "type": "Hash"
    }
   ]
  }
 },
 "e540eace6c128125": {
  "topic": "nrm.Case.HeldBack",
  "schema": {
   "type": "record",
   "name": "HeldBack",
   "namespace": "nrm.Case",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "items",
     "type": "bytes"
    },
    {
     "name": "rebased",
     "type": "bytes"
    }
   ]
  }
 },
 "fa3c2c511a5c2823": {
  "topic": "nrm.Case.InFlight",
  "schema": {
   "type": "record",
   "name": "InFlight",
   "namespace": "nrm.Case",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "position",
     "type": "long"
    },
    {
     "name": "items",
     "type": "bytes"
    },
    {
     "name": "told",
     "type": "bytes"
    }
   ]
  }
 },
 "8edf3af5c48ce349": {
  "topic": "nrm.Case.Settled",
  "schema": {
   "type": "record",
   "name": "Settled",
   "namespace": "nrm.Case",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "event_version",
     "type": "long"
    },
    {
     "name": "position",
     "type": "long"
    },
    {
     "name": "settlement",
     "type": "bytes"
    },
    {
     "name": "policy",
     "type": "string"
    },
    {
     "name": "parties",
     "type": "long"
    }
   ]
  }
 },
 "27f9396e67e93e6b": {
  "topic": "nrm.Console.Looked",
  "schema": {
   "type": "record",
   "name": "Looked",
   "namespace": "nrm.Console",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "viewer",
     "type": "string"
    },
    {
     "name": "granted",
     "type": "long"
    },
    {
     "name": "role",
     "type": "string"
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "page",
     "type": "string"
    },
    {
     "name": "about",
     "type": "string"
    },
    {
     "name": "seen",
     "type": "long"
    },
    {
     "name": "refused",
     "type": "string"
    }
   ]
  }
 },
 "ed1d2c7256ab53d7": {
  "topic": "nrm.DeliveryLog.RedriveOrdered",
  "schema": {
   "type": "record",
   "name": "RedriveOrdered",
   "namespace": "nrm.DeliveryLog",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "sequence",
     "type": "long"
    },
    {
     "name": "by",
     "type": "string"
    }
   ]
  }
 },
 "cd71235d4a866173": {
  "topic": "nrm.DeliveryLog.Sending",
  "schema": {
   "type": "record",
   "name": "Sending",
   "namespace": "nrm.DeliveryLog",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "kind",
     "type": {
      "type": "enum",
      "name": "Kind",
      "symbols": [
       "release",
       "recall"
      ]
     }
    },
    {
     "name": "case_id",
     "type": {
      "type": "fixed",
      "name": "Id",
      "size": 16
     }
    },
    {
     "name": "subject_id",
     "type": "Id"
    },
    {
     "name": "decision",
     "type": "long"
    },
    {
     "name": "items",
     "type": "bytes"
    },
    {
     "name": "event_position",
     "type": "long"
    }
   ]
  }
 },
 "e0000890d10b6d24": {
  "topic": "nrm.Hub.Initialised",
  "schema": {
   "type": "record",
   "name": "Initialised",
   "namespace": "nrm.Hub",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "hub",
     "type": "string"
    },
    {
     "name": "public",
     "type": "bytes"
    }
   ]
  }
 },
 "a5ad74a9245a856b": {
  "topic": "nrm.Hub.Restored",
  "schema": {
   "type": "record",
   "name": "Restored",
   "namespace": "nrm.Hub",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "hub",
     "type": "string"
    },
    {
     "name": "backup",
     "type": "string"
    },
    {
     "name": "head",
     "type": "long"
    },
    {
     "name": "after_loss",
     "type": "boolean"
    },
    {
     "name": "seen",
     "type": "bytes"
    },
    {
     "name": "former_verifier",
     "type": "string"
    },
    {
     "name": "log_verifier",
     "type": "string"
    },
    {
     "name": "by",
     "type": "string"
    }
   ]
  }
 },
 "6c0550804fc4649a": {
  "topic": "nrm.Officer.Admitted",
  "schema": {
   "type": "record",
   "name": "Admitted",
   "namespace": "nrm.Officer",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "officer",
     "type": "string"
    },
    {
     "name": "public",
     "type": "bytes"
    },
    {
     "name": "key_id",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "request",
     "type": "bytes"
    },
    {
     "name": "by",
     "type": "string"
    }
   ]
  }
 },
 "8de89e4c810bb665": {
  "topic": "nrm.Officer.Revoked",
  "schema": {
   "type": "record",
   "name": "Revoked",
   "namespace": "nrm.Officer",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "officer",
     "type": "string"
    },
    {
     "name": "key_id",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "reason",
     "type": "string"
    },
    {
     "name": "by",
     "type": "string"
    },
    {
     "name": "by_key",
     "type": "KeyId"
    },
    {
     "name": "statement",
     "type": "bytes"
    }
   ]
  }
 },
 "23fbd5382344c903": {
  "topic": "nrm.Officer.Vouched",
  "schema": {
   "type": "record",
   "name": "Vouched",
   "namespace": "nrm.Officer",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "officer",
     "type": "string"
    },
    {
     "name": "key_id",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "request",
     "type": "bytes"
    },
    {
     "name": "by",
     "type": "string"
    },
    {
     "name": "by_key",
     "type": "KeyId"
    },
    {
     "name": "statement",
     "type": "bytes"
    }
   ]
  }
 },
 "38f53ffa5763ef03": {
  "topic": "nrm.PolicyProfile.Approved",
  "schema": {
   "type": "record",
   "name": "Approved",
   "namespace": "nrm.PolicyProfile",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "version",
     "type": "string"
    },
    {
     "name": "digest",
     "type": {
      "type": "fixed",
      "name": "Digest",
      "size": 32
     }
    },
    {
     "name": "proposal",
     "type": "long"
    },
    {
     "name": "by",
     "type": "string"
    },
    {
     "name": "by_key",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "statement",
     "type": "bytes"
    }
   ]
  }
 },
 "71c05a648f996ff6": {
  "topic": "nrm.PolicyProfile.Proposed",
  "schema": {
   "type": "record",
   "name": "Proposed",
   "namespace": "nrm.PolicyProfile",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "version",
     "type": "string"
    },
    {
     "name": "digest",
     "type": {
      "type": "fixed",
      "name": "Digest",
      "size": 32
     }
    },
    {
     "name": "document",
     "type": "bytes"
    },
    {
     "name": "base",
     "type": "Digest"
    },
    {
     "name": "base_position",
     "type": "long"
    },
    {
     "name": "reason",
     "type": "string"
    },
    {
     "name": "by",
     "type": "string"
    },
    {
     "name": "by_key",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "statement",
     "type": "bytes"
    }
   ]
  }
 },
 "2d81ffcb34748a1a": {
  "topic": "nrm.PolicyProfile.Published",
  "schema": {
   "type": "record",
   "name": "Published",
   "namespace": "nrm.PolicyProfile",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "version",
     "type": "string"
    },
    {
     "name": "document",
     "type": "bytes"
    },
    {
     "name": "by",
     "type": "string"
    }
   ]
  }
 },
 "7ced68c8067c6ecf": {
  "topic": "nrm.ReceiptLog.Received",
  "schema": {
   "type": "record",
   "name": "Received",
   "namespace": "nrm.ReceiptLog",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "first_sequence",
     "type": "long"
    },
    {
     "name": "last_sequence",
     "type": "long"
    },
    {
     "name": "receipt",
     "type": "bytes"
    },
    {
     "name": "signature",
     "type": {
      "type": "fixed",
      "name": "Signature",
      "size": 64
     }
    }
   ]
  }
 },
 "648fc795eb75abe4": {
  "topic": "nrm.Statistics.Published",
  "schema": {
   "type": "record",
   "name": "Published",
   "namespace": "nrm.Statistics",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "table",
     "type": "string"
    },
    {
     "name": "period",
     "type": "string"
    },
    {
     "name": "as_of",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "position",
     "type": "long"
    },
    {
     "name": "suppression",
     "type": "string"
    },
    {
     "name": "epsilon",
     "type": "string"
    },
    {
     "name": "figures",
     "type": "bytes"
    },
    {
     "name": "by",
     "type": "string"
    }
   ]
  }
 },
 "34f43eb15195c1cd": {
  "topic": "nrm.Subject.Exported",
  "schema": {
   "type": "record",
   "name": "Exported",
   "namespace": "nrm.Subject",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "subject_id",
     "type": {
      "type": "fixed",
      "name": "Id",
      "size": 16
     }
    },
    {
     "name": "case_id",
     "type": "Id"
    },
    {
     "name": "request",
     "type": "string"
    },
    {
     "name": "digest",
     "type": {
      "type": "fixed",
      "name": "Hash",
      "size": 32
     }
    },
    {
     "name": "left_out",
     "type": {
      "type": "array",
      "items": "string"
     }
    },
    {
     "name": "by",
     "type": "string"
    }
   ]
  }
 },
 "73d6fc3c5c1db550": {
  "topic": "nrm.Subject.Shredded",
  "schema": {
   "type": "record",
   "name": "Shredded",
   "namespace": "nrm.Subject",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "subject_id",
     "type": {
      "type": "fixed",
      "name": "Id",
      "size": 16
     }
    },
    {
     "name": "by",
     "type": "string"
    }
   ]
  }
 },
 "66dd97c81ca4aba3": {
  "topic": "nrm.Submission.Refused",
  "schema": {
   "type": "record",
   "name": "Refused",
   "namespace": "nrm.Submission",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "event_id",
     "type": [
      "null",
      {
       "type": "fixed",
       "name": "Id",
       "size": 16
      }
     ],
     "default": null
    },
    {
     "name": "digest",
     "type": {
      "type": "fixed",
      "name": "Hash",
      "size": 32
     }
    },
    {
     "name": "step",
     "type": "int"
    },
    {
     "name": "reason",
     "type": "string"
    },
    {
     "name": "guard",
     "type": [
      "null",
      "string"
     ],
     "default": null
    },
    {
     "name": "detail",
     "type": "string"
    }
   ]
  }
 },
 "eaea0ce2574f51b0": {
  "topic": "nrm.Viewer.Granted",
  "schema": {
   "type": "record",
   "name": "Granted",
   "namespace": "nrm.Viewer",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "viewer",
     "type": "string"
    },
    {
     "name": "proposal",
     "type": "long"
    },
    {
     "name": "code",
     "type": "bytes"
    },
    {
     "name": "by",
     "type": "string"
    },
    {
     "name": "by_key",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "statement",
     "type": "bytes"
    }
   ]
  }
 },
 "c11404bdd0579d72": {
  "topic": "nrm.Viewer.PasskeyAdded",
  "schema": {
   "type": "record",
   "name": "PasskeyAdded",
   "namespace": "nrm.Viewer",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "viewer",
     "type": "string"
    },
    {
     "name": "granted",
     "type": "long"
    },
    {
     "name": "credential",
     "type": "bytes"
    },
    {
     "name": "public",
     "type": "bytes"
    },
    {
     "name": "counter",
     "type": "long"
    },
    {
     "name": "aaguid",
     "type": "string"
    },
    {
     "name": "code",
     "type": "bytes"
    }
   ]
  }
 },
 "88bd1ea9b24cddfb": {
  "topic": "nrm.Viewer.Proposed",
  "schema": {
   "type": "record",
   "name": "Proposed",
   "namespace": "nrm.Viewer",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "viewer",
     "type": "string"
    },
    {
     "name": "role",
     "type": "string"
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "how",
     "type": "string"
    },
    {
     "name": "issuer",
     "type": "string"
    },
    {
     "name": "subject",
     "type": "string"
    },
    {
     "name": "code",
     "type": "bytes"
    },
    {
     "name": "base",
     "type": "long"
    },
    {
     "name": "by",
     "type": "string"
    },
    {
     "name": "by_key",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "statement",
     "type": "bytes"
    }
   ]
  }
 },
 "42d5c5d94b20a691": {
  "topic": "nrm.Viewer.Revoked",
  "schema": {
   "type": "record",
   "name": "Revoked",
   "namespace": "nrm.Viewer",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "viewer",
     "type": "string"
    },
    {
     "name": "granted",
     "type": "long"
    },
    {
     "name": "reason",
     "type": "string"
    },
    {
     "name": "by",
     "type": "string"
    },
    {
     "name": "by_key",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "statement",
     "type": "bytes"
    }
   ]
  }
 },
 "99e0efb2fee9ea15": {
  "topic": "nrm.Viewer.SignedIn",
  "schema": {
   "type": "record",
   "name": "SignedIn",
   "namespace": "nrm.Viewer",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "viewer",
     "type": "string"
    },
    {
     "name": "granted",
     "type": "long"
    },
    {
     "name": "how",
     "type": "string"
    },
    {
     "name": "credential",
     "type": "bytes"
    },
    {
     "name": "counter",
     "type": "long"
    }
   ]
  }
 },
 "bf61a4a65882efd0": {
  "topic": "nrm.Work.Closed",
  "schema": {
   "type": "record",
   "name": "Closed",
   "namespace": "nrm.Work",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "item",
     "type": {
      "type": "fixed",
      "name": "Id",
      "size": 16
     }
    },
    {
     "name": "by",
     "type": "string"
    },
    {
     "name": "because",
     "type": "string"
    },
    {
     "name": "contested",
     "type": "boolean"
    }
   ]
  }
 },
 "5bf10eac83936f63": {
  "topic": "nrm.Work.Fired",
  "schema": {
   "type": "record",
   "name": "Fired",
   "namespace": "nrm.Work",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "item",
     "type": {
      "type": "fixed",
      "name": "Id",
      "size": 16
     }
    },
    {
     "name": "phase",
     "type": {
      "type": "enum",
      "name": "Phase",
      "symbols": [
       "opens",
       "due"
      ]
     }
    },
    {
     "name": "at",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "due",
     "type": [
      "null",
      {
       "type": "long",
       "logicalType": "timestamp-micros"
      }
     ],
     "default": null
    },
    {
     "name": "refused",
     "type": [
      "null",
      "string"
     ],
     "default": null
    }
   ]
  }
 },
 "92fb83fdd7821a0f": {
  "topic": "nrm.Work.Raised",
  "schema": {
   "type": "record",
   "name": "Raised",
   "namespace": "nrm.Work",
   "fields": [
    {
     "name": "timestamp",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "item",
     "type": {
      "type": "fixed",
      "name": "Id",
      "size": 16
     }
    },
    {
     "name": "kind",
     "type": "string"
    },
    {
     "name": "ref",
     "type": "string"
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "due",
     "type": [
      "null",
      {
       "type": "long",
       "logicalType": "timestamp-micros"
      }
     ],
     "default": null
    }
   ]
  }
 }
};

export const WIRE = {
 "Header": {
  "prefix": "c301a65b9baa650c7221",
  "schema": {
   "type": "record",
   "name": "Header",
   "namespace": "nrm.wire",
   "fields": [
    {
     "name": "event_id",
     "type": {
      "type": "fixed",
      "name": "EventId",
      "size": 16
     }
    },
    {
     "name": "event_type",
     "type": "string"
    },
    {
     "name": "schema",
     "type": {
      "type": "fixed",
      "name": "SchemaId",
      "size": 32
     }
    },
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "occurred_at",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "disclosure_root",
     "type": {
      "type": "fixed",
      "name": "Hash",
      "size": 32
     }
    }
   ]
  }
 },
 "BatchHead": {
  "prefix": "c301928dc0650cfd934e",
  "schema": {
   "type": "record",
   "name": "BatchHead",
   "namespace": "nrm.wire",
   "fields": [
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "key_id",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "audience",
     "type": "string"
    },
    {
     "name": "size",
     "type": "long"
    },
    {
     "name": "root",
     "type": {
      "type": "fixed",
      "name": "Hash",
      "size": 32
     }
    }
   ]
  }
 },
 "Receipt": {
  "prefix": "c30123e175b7226b09d9",
  "schema": {
   "type": "record",
   "name": "Receipt",
   "namespace": "nrm.wire",
   "fields": [
    {
     "name": "agency",
     "type": "string"
    },
    {
     "name": "hub",
     "type": "string"
    },
    {
     "name": "key_id",
     "type": {
      "type": "fixed",
      "name": "KeyId",
      "size": 16
     }
    },
    {
     "name": "first_sequence",
     "type": "long"
    },
    {
     "name": "last_sequence",
     "type": "long"
    },
    {
     "name": "applied_at",
     "type": {
      "type": "long",
      "logicalType": "timestamp-micros"
     }
    },
    {
     "name": "exceptions",
     "type": {
      "type": "array",
      "items": {
       "type": "record",
       "name": "ReceiptException",
       "fields": [
        {
         "name": "sequence",
         "type": "long"
        },
        {
         "name": "outcome",
         "type": {
          "type": "enum",
          "name": "ReceiptOutcome",
          "symbols": [
           "applied",
           "quarantined",
           "deleted",
           "restricted",
           "kept_own_basis"
          ]
         }
        },
        {
         "name": "recall_ref",
         "type": [
          "null",
          "string"
         ]
        },
        {
         "name": "detail",
         "type": [
          "null",
          "string"
         ]
        }
       ]
      }
     }
    }
   ]
  }
 }
};

"""Backup and restore: three things, kept in three places, of which none is enough alone.

    log archive    a folder: the whole log in one file, `hub.toml`, a signed manifest. No key in
                   it: it may be copied, kept for years and seen by whoever may see metadata
    key archive    one file under a passphrase: the hub's own keys, and every person's secret
                   sealed under the recovery key
    recovery key   one small file (`hub/store/recovery.py`): an erasure makes it forget the
                   person, here and in its copies

Whoever was erased after a backup stays erased when it is restored: the recovery key no longer opens
their secret, and says who they are. Everyone else is readable again, from any backup ever made.

A log put back to an older state than others have seen would give the same delivery numbers and
the same leaves of the tree to other events. `evidence.py` looks for signs of it, and `restore`
refuses without proof or a decision (docs/operations-backup.md).
"""

package main

// storageGuards are what keeps the books right whatever the disk does.
func storageGuards() []guard {
	powerCuts := scenario{"powercut", (*proof).powerCuts}
	fullDisks := scenario{"diskfull", (*proof).fullDisks}
	return []guard{
		{
			name: "fsync", protects: "a commit is on the disk before anybody hears of it",
			file: "internal/sqldb/writer.go", find: `"synchronous(FULL)"`, replace: `"synchronous(NORMAL)"`,
			prove: powerCuts, column: inUnknown,
		},
		{
			name: "folder", protects: "the name of a new data folder is durable",
			file: "internal/sqldb/lock.go", find: "range above {", replace: "range above[:0] {",
			prove: powerCuts, column: inLoad,
		},
		{
			name: "whole-key", protects: "the sealing key gets its name when it is whole",
			file: "internal/seal/seal.go", find: `unfinished := path + ".new"`, replace: "unfinished := path",
			prove: powerCuts, column: inVerify,
		},
		{
			name: "disk-words", protects: "a person is told that the disk is full",
			file: "internal/sqldb/sqldb.go", find: "c == sqlite3.SQLITE_FULL ||", replace: "c != sqlite3.SQLITE_FULL &&",
			prove: fullDisks, column: inLoad,
		},
		{
			name: "store-later", protects: "an end that could not be stored is tried again",
			file: "internal/meter/retry.go", find: "if m.db.Write(m.ctx, write) == nil {", replace: "if write != nil {",
			prove: fullDisks, column: inHeld,
		},
		{
			name: "free-space", protects: "no call begins that could not be written down",
			file: "internal/meter/traffic.go", find: "free < d.minFree {", replace: "free < 0 {",
			prove: fullDisks, column: inVerify,
		},
		{
			name: "log-rot", protects: "a log that is damaged in its middle is not taken for a short one",
			file: "internal/sqldb/damage.go", find: "if commits > 1 {", replace: "if commits < 0 {",
			prove: scenario{"bitrot", (*proof).bitRot}, column: inBooks,
		},
		{
			name: "page-rot", protects: "every page is looked at",
			file: "internal/sqldb/sqldb.go", find: "err = checkPages(ctx, db.readers)", replace: "_ = checkPages",
			prove: scenario{"bitrot", (*proof).bitRot}, column: inVerify,
		},
		{
			name: "one-server", protects: "one server to a folder",
			file: "internal/sqldb/lock.go", find: "syscall.LOCK_EX|syscall.LOCK_NB", replace: "syscall.LOCK_SH|syscall.LOCK_NB",
			prove: scenario{"folder", (*proof).sharedFolder}, column: inVerify,
		},
		{
			name: "newer-schema", protects: "an old program keeps away from a newer schema",
			file: "internal/sqldb/migrate.go", find: "if version > newest {", replace: "if version < 0 {",
			prove: scenario{"upgrade", (*proof).upgrades}, column: inVerify,
		},
	}
}

package main

// storageGuards are what keeps the books right whatever the disk does.
func storageGuards() []guard {
	powerCuts := scenario{"powercut", (*proof).powerCuts}
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
	}
}

package transcode

// For tests from outside of the package.

// RaceEnabled reports whether the race detector is at work.
const RaceEnabled = raceEnabled

// Owners returns how many owners of C memory there are.
func Owners() int64 { return owners.Load() }

package transcode

// For tests from outside of the package.

// Owners returns how many owners of C memory there are.
func Owners() int64 { return owners.Load() }

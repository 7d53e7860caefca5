//go:build !linux && !darwin

package metrics

import "errors"

// usage is not known on this system.
func usage(string) (size, free uint64, err error) { return 0, 0, errors.ErrUnsupported }

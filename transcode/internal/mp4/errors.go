package mp4

import (
	"errors"
	"fmt"
)

// What can be wrong with a file. Other errors come unchanged from the reader.
var (
	// ErrNotMP4 means that the file is of another kind.
	ErrNotMP4 = errors.New("not of the MP4 family")
	// ErrInvalid means that the file breaks its own format.
	ErrInvalid = errors.New("invalid MP4 structure")
	// ErrTruncated means that the file ends before a box or a sample does.
	ErrTruncated = errors.New("the file ends early")
	// ErrLimit means that the file wants more than [Limits], or a bound of this
	// package, grants.
	ErrLimit = errors.New("limit exceeded")
)

func invalid(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, a...))
}

func truncated(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrTruncated, fmt.Sprintf(format, a...))
}

func overLimit(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrLimit, fmt.Sprintf(format, a...))
}

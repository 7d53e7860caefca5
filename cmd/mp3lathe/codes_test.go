package main

import (
	"slices"
	"testing"

	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// The codes of package job are those of package transcode, for what both have. Those
// of the caller's own doing become what the worker makes of them.
func TestCodesAgree(t *testing.T) {
	t.Parallel()
	shared := map[transcode.Code]job.Code{
		transcode.CodeNoAudio: job.NoAudio, transcode.CodeInvalidData: job.InvalidData, transcode.CodeTruncated: job.Truncated,
		transcode.CodeUnsupported: job.Unsupported, transcode.CodeEncrypted: job.Encrypted, transcode.CodeLimit: job.Limit,
		transcode.CodeOptions: job.BadOptions, transcode.CodeTimeout: job.TimedOut,
	}
	for theirs, ours := range shared {
		if string(theirs) != string(ours) {
			t.Errorf("%s is spelt %s", theirs, ours)
		}
		if !ours.Permanent() {
			t.Errorf("%s is tried again", ours)
		}
	}
	for _, err := range []error{
		transcode.ErrNoAudio, transcode.ErrInvalidData, transcode.ErrTruncated, transcode.ErrUnsupported,
		transcode.ErrEncrypted, transcode.ErrLimit, transcode.ErrOptions,
	} {
		if c := job.Code(transcode.CodeOf(err)); !slices.Contains(job.Codes(), c) {
			t.Errorf("package job does not know %s", c)
		}
	}
	for _, theirs := range []transcode.Code{transcode.CodeCanceled, transcode.CodeIO} {
		if slices.Contains(job.Codes(), job.Code(theirs)) {
			t.Errorf("%s says nothing to a user of the service", theirs)
		}
	}
}

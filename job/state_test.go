package job

import (
	"slices"
	"testing"
)

// The picture in doc.go, arrow by arrow.
var picture = map[[2]State]bool{
	{Queued, Running}:    true,
	{Queued, Canceled}:   true,
	{Running, Succeeded}: true,
	{Running, Failed}:    true,
	{Running, Canceled}:  true,
	{Running, Queued}:    true, // worker lost, or another try
	{Failed, Queued}:     true, // a user's retry
	{Succeeded, Expired}: true,
	{Failed, Expired}:    true,
	{Canceled, Expired}:  true,
}

func TestStates(t *testing.T) {
	t.Parallel()
	all := append(States(), "", "Queued", "lost")
	for _, s := range all {
		for _, next := range all {
			if got := s.To(next); got != picture[[2]State{s, next}] {
				t.Errorf("%q to %q is %v", s, next, got)
			}
		}
		if known := slices.Contains(States(), s); s.Valid() != known {
			t.Errorf("%q is valid: %v", s, s.Valid())
		} else if s.Active() && s.Ended() || known && !s.Active() && !s.Ended() {
			t.Errorf("%q is active: %v, ended: %v", s, s.Active(), s.Ended())
		}
	}
	for _, s := range States() {
		// What has ended never runs again without having been queued, and what is
		// active can always be canceled.
		if s.Ended() && (s.To(Running) || s.To(Succeeded)) {
			t.Errorf("%s goes on", s)
		}
		if s.Active() != s.To(Canceled) {
			t.Errorf("%s can be canceled: %v", s, s.To(Canceled))
		}
		if s.Ended() && s != Expired && !s.To(Expired) {
			t.Errorf("the files of a job that is %s stay for ever", s)
		}
	}
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	const id, other = "01a21193-4e30-754a-82da-bcfa6a249581", "01a21193-4e30-754a-82da-bcfa6a249582"
	for state, want := range map[State][]string{
		Queued:    {SourceKey(id)},
		Running:   {SourceKey(id), ResultKey(id, 2)},
		Succeeded: {ResultKey(id, 2)},
		Failed:    {SourceKey(id)},
		Canceled:  nil,
		Expired:   nil,
		"":        nil,
	} {
		var got []string
		for _, key := range []string{
			SourceKey(id), ResultKey(id, 1), ResultKey(id, 2), ResultKey(id, 3), ResultKey(id, 22), ResultPrefix(id), ResultPrefix(id) + "x",
			SourceKey(other), ResultKey(other, 2), "", "x",
		} {
			if (Standing{state, 2}).Needs(id, key) {
				got = append(got, key)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s needs %v, want %v", state, got, want)
		}
	}
}

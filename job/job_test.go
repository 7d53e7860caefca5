package job

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// anID draws a UUID of any version.
func anID(t *rapid.T) string {
	u, err := uuid.FromBytes(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid"))
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

func TestValidID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{uuid.NewString(), uuid.Must(uuid.NewV7()).String(), uuid.Nil.String()} {
		if !ValidID(id) {
			t.Errorf("%q is refused", id)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.Custom(anID), rapid.String(), rapid.StringMatching(`[0-9a-fA-F-]{36}`)).Draw(t, "s")
		switch rapid.IntRange(0, 5).Draw(t, "change") {
		case 1: // one byte is another
			if i := rapid.IntRange(0, max(len(s)-1, 0)).Draw(t, "place"); i < len(s) {
				s = s[:i] + string(rapid.SampledFrom([]byte("0fFgG-/\\{} \x00\xff`:")).Draw(t, "byte")) + s[i+1:]
			}
		case 2:
			s = strings.ToUpper(s)
		case 3:
			s = "urn:uuid:" + s
		case 4:
			s = strings.ReplaceAll(s, "-", "")
		case 5:
			s = "{" + s + "}"
		}
		// uuid reads other spellings too; an ID has the one that it writes.
		u, err := uuid.Parse(s)
		if want := err == nil && u.String() == s; ValidID(s) != want {
			t.Fatalf("%q is valid: %v", s, !want)
		}
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id, attempt := anID(t), rapid.IntRange(0, 1<<30).Draw(t, "attempt")
		source, result := SourceKey(id), ResultKey(id, attempt)
		for _, key := range []string{source, result, ResultPrefix(id) + "anything"} {
			if got, ok := OwnerOfKey(key); !ok || got != id {
				t.Fatalf("%s belongs to %q, %v", key, got, ok)
			}
		}
		if !strings.HasPrefix(result, ResultPrefix(id)) || strings.HasPrefix(source, ResultPrefix(id)) {
			t.Fatalf("%s, %s below %s", source, result, ResultPrefix(id))
		}
		if other := ResultKey(id, attempt+1); other == result {
			t.Fatalf("two attempts share %s", result)
		}
	})
	id := uuid.NewString()
	for _, key := range []string{
		"", "in/", "in", "out/", id, "in/" + id + "/1", "in/" + id[:35], "in//" + id, "out/" + id, "out/x/1.mp3", "out//" + id,
		"other/" + id, "IN/" + id, "/in/" + id, "in/" + strings.ToUpper(strings.Replace(id, id[:1], "a", 1)), "in/../in/" + id,
	} {
		if got, ok := OwnerOfKey(key); ok {
			t.Errorf("%q belongs to %q", key, got)
		}
	}
}

func FuzzOwnerOfKey(f *testing.F) {
	id := "01939b6e-5a1c-7c3e-9d2f-0123456789ab"
	for _, key := range []string{SourceKey(id), ResultKey(id, 1), ResultPrefix(id), "in/", "out/x/1.mp3"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		// What is taken for a job's is removed with it.
		if id, ok := OwnerOfKey(key); ok && (!ValidID(id) || key != SourceKey(id) && !strings.HasPrefix(key, ResultPrefix(id))) {
			t.Errorf("%q belongs to %q", key, id)
		}
	})
}

func TestFraction(t *testing.T) {
	t.Parallel()
	for p, want := range map[Progress]float64{
		{}: 0, {Position: time.Second}: 0, {Position: time.Second, Total: -1}: 0,
		{Position: time.Second, Total: 4 * time.Second}: 0.25, {Position: -1, Total: 1}: 0,
		{Position: 5 * time.Second, Total: 4 * time.Second}: 1, {Position: 1, Total: 1}: 1,
	} {
		if got := p.Fraction(); got != want {
			t.Errorf("%v is %v, want %v", p, got, want)
		}
	}
}

package link_test

import (
	"bytes"
	"fmt"
	"net/url"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/link"
)

func Example() {
	key := bytes.Repeat([]byte("k"), 32) // from crypto/rand, in earnest
	s, err := link.New("https://mp3.example.org", key)
	if err != nil {
		fmt.Println(err)
		return
	}
	made := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l, err := url.Parse(s.Audio("01939b6e-5a1c-7c3e-9d2f-0123456789ab", made.Add(time.Hour)))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l.Path)
	expires, signature := l.Query().Get("expires"), l.Query().Get("signature")
	for _, hours := range []int{0, 2} {
		now := made.Add(time.Duration(hours) * time.Hour)
		fmt.Println(s.Verify("01939b6e-5a1c-7c3e-9d2f-0123456789ab", expires, signature, now))
	}
	fmt.Println(s.Verify("01939b6e-5a1c-7c3e-9d2f-0123456789ac", expires, signature, made))
	// Output:
	// /v1/jobs/01939b6e-5a1c-7c3e-9d2f-0123456789ab/audio
	// <nil>
	// link: expired
	// link: the signature does not fit
}

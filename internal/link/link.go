// Package link makes and checks download links that need no login: whoever holds
// one may fetch one job's MP3 until the link expires. They are made for mails.
//
//	https://mp3.example.org/v1/jobs/<id>/audio?expires=<unix>&signature=<...>
//
// The signature is an HMAC-SHA256 over the purpose, the expiry and the job. It
// names no user: a link ends by its time, or when its job or its key goes.
package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MinKey is the fewest bytes that a key may have: the size of the hash, so that
// the key is not the weakest part.
const MinKey = sha256.Size

// What [Signer.Verify] answers. errors.Is finds them.
var (
	// ErrInvalid means that the link was not made by us, or not for this job and
	// time.
	ErrInvalid = errors.New("link: the signature does not fit")
	// ErrExpired means that the link was ours, and that its time is over.
	ErrExpired = errors.New("link: expired")
)

// purpose keeps a signature from being good for anything else that may one day be
// signed with the same key.
const purpose = "mp3lathe audio link v1"

// encoding of signatures: URL-safe, no padding, and no stray bits at the end.
var encoding = base64.RawURLEncoding.Strict()

// Signer makes and checks links. It is safe for use by many goroutines.
type Signer struct {
	base string
	keys [][]byte
}

// New returns a signer of links below base, the public URL of the gateway such as
// https://mp3.example.org, which may have a path. The first key signs and all
// verify: to change the key, put the new one first and keep the old one until
// the links made with it have expired. A key has at least [MinKey] bytes.
func New(base string, keys ...[]byte) (*Signer, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return nil, fmt.Errorf("link: public URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("link: public URL %q: want one such as https://mp3.example.org", base)
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "", strings.HasSuffix(base, "#"):
		return nil, errors.New("link: public URL: no user, query or fragment, please")
	case len(keys) == 0:
		return nil, errors.New("link: no key")
	}
	s := &Signer{base: strings.TrimRight(u.String(), "/")}
	for i, key := range keys {
		if len(key) < MinKey {
			return nil, fmt.Errorf("link: key %d has %d bytes; want at least %d", i+1, len(key), MinKey)
		}
		s.keys = append(s.keys, slices.Clone(key))
	}
	return s, nil
}

// Audio returns a link to a job's MP3 that is good until a time, cut to the
// second.
func (s *Signer) Audio(jobID string, until time.Time) string {
	expires := strconv.FormatInt(until.Unix(), 10)
	return s.base + "/v1/jobs/" + url.PathEscape(jobID) + "/audio?expires=" + expires +
		"&signature=" + encoding.EncodeToString(sign(s.keys[0], jobID, expires))
}

// Verify checks the parts of a link as they stand in its URL, unescaped. It
// answers [ErrInvalid] whatever does not fit, and [ErrExpired] only for a link
// that was good once. There is one way to write each part: what is merely
// equivalent is refused.
func (s *Signer) Verify(jobID, expires, signature string, now time.Time) error {
	unix, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || unix < 0 || strconv.FormatInt(unix, 10) != expires {
		return ErrInvalid
	}
	// The decoder skips line breaks, hence the comparison.
	mac, err := encoding.DecodeString(signature)
	if err != nil || len(mac) != sha256.Size || encoding.EncodeToString(mac) != signature {
		return ErrInvalid
	}
	good := 0
	for _, key := range s.keys {
		good |= subtle.ConstantTimeCompare(mac, sign(key, jobID, expires))
	}
	switch {
	case good != 1:
		return ErrInvalid
	case now.Unix() >= unix:
		return ErrExpired
	}
	return nil
}

// sign hashes what a link says. The ID comes last: whatever it holds, it cannot
// be taken for another part.
func sign(key []byte, jobID, expires string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(purpose + "\x00" + expires + "\x00" + jobID))
	return h.Sum(nil)
}

package jobstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mp3lathe/mp3lathe/job"
)

// keyName is the name of a key.
func keyName(i int) string {
	sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
	return hex.EncodeToString(sum[:])
}

// keyed is a request under a key.
func keyed(i int, holder string) *job.Keyed {
	return &job.Keyed{
		RequestKey: job.RequestKey{Owner: owner, Name: keyName(i), Holder: holder},
		Request:    job.Request{Head: "head", Body: "body", Bytes: 7},
	}
}

// claimKey claims a key that nobody has.
func claimKey(t testing.TB, s store, i int) *job.Keyed {
	t.Helper()
	k := keyed(i, newID())
	if _, ok, err := s.ClaimKey(t.Context(), *k, lease); err != nil || !ok {
		t.Fatalf("%t, %v", ok, err)
	}
	return k
}

// lapse lets the lease of a key pass.
func lapse(t testing.TB, s store, i int) {
	t.Helper()
	if err := s.setKey(t.Context(), keyName(i), "held_until", 1); err != nil {
		t.Fatal(err)
	}
}

// TestKey: one request has a key from its claim to its end.
func TestKey(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		first, second := claimKey(t, s, 1), keyed(1, "second")
		look := func(what string, want job.KeyRecord) {
			t.Helper()
			rec, ok, err := s.ClaimKey(ctx, *second, lease)
			if err != nil || ok {
				t.Fatalf("%s: the second has it (%t), %v", what, ok, err)
			}
			same(t, what, rec, want)
		}
		want := job.KeyRecord{Request: job.Request{Head: "head", Bytes: 7}, Held: true}
		look("claimed", want)
		if err := s.HoldKey(ctx, second.RequestKey, lease); !errors.Is(err, job.ErrLost) {
			t.Errorf("held by another: %v", err)
		}
		if err := s.AnswerKey(ctx, *second, job.Answer{Status: 200}); !errors.Is(err, job.ErrLost) {
			t.Errorf("answered by another: %v", err)
		}
		if err := s.FreeKey(ctx, second.RequestKey); err != nil {
			t.Error(err)
		}
		if _, err := s.Submit(ctx, job.Submission{Job: job.Job{ID: newID(), Owner: owner}, Key: second}); !errors.Is(err, job.ErrLost) {
			t.Errorf("inserted by another: %v", err)
		}
		look("meddled with", want)

		j, err := s.Submit(ctx, job.Submission{Job: job.Job{ID: newID(), Owner: owner, FileName: "a.mp4"}, Key: first})
		if err != nil || j.State != job.Queued || j.FileName != "a.mp4" {
			t.Fatalf("%+v, %v", j, err)
		}
		want.JobID, want.Body = j.ID, "body"
		look("with a job", want)
		if _, err := s.Submit(ctx, job.Submission{Job: job.Job{ID: newID(), Owner: owner}, Key: first}); !errors.Is(err, job.ErrLost) {
			t.Errorf("a second job: %v", err)
		}
		lapse(t, s, 1)
		want.Held = false
		look("whose holder is gone", want)
		if err := s.FreeKey(ctx, first.RequestKey); err != nil {
			t.Error(err)
		}
		look("not forgotten", want)
		if err := s.HoldKey(ctx, first.RequestKey, lease); err != nil {
			t.Error(err)
		}
		want.Held = true
		look("whose holder was slow", want)

		answer := job.Answer{Status: 202, Header: map[string]string{"Location": "/v1/jobs/x"}, Body: "{\"title\":\"Ä 🎵\"}" + strings.Repeat("x", 70_000)}
		first.Bytes = 8
		if err := s.AnswerKey(ctx, *first, answer); err != nil {
			t.Fatal(err)
		}
		want.Bytes, want.Held, want.Answer = 8, false, answer
		look("answered", want)
		for what, err := range map[string]error{
			"held": s.HoldKey(ctx, first.RequestKey, lease), "answered": s.AnswerKey(ctx, *first, job.Answer{Status: 500}),
		} {
			if !errors.Is(err, job.ErrLost) {
				t.Errorf("%s after the answer: %v", what, err)
			}
		}
		// Of another user, or another key, it knows nothing.
		stranger := keyed(1, "stranger")
		stranger.Owner = newID()
		for _, k := range []*job.Keyed{stranger, keyed(2, "second")} {
			if _, ok, err := s.ClaimKey(ctx, *k, lease); err != nil || !ok {
				t.Errorf("%t, %v", ok, err)
			}
		}
	})
}

// TestKeyFreed: a key under which nothing was done is anybody's again.
func TestKeyFreed(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		first := claimKey(t, s, 1)
		if err := s.FreeKey(ctx, first.RequestKey); err != nil {
			t.Fatal(err)
		}
		second := claimKey(t, s, 1)
		lapse(t, s, 1)
		third := claimKey(t, s, 1) // of one that died
		for _, k := range []*job.Keyed{first, second} {
			if _, err := s.Submit(ctx, job.Submission{Job: job.Job{ID: newID(), Owner: owner}, Key: k}); !errors.Is(err, job.ErrLost) {
				t.Errorf("of one that has lost it: %v", err)
			}
			if err := s.FreeKey(ctx, k.RequestKey); err != nil {
				t.Error(err)
			}
		}
		if err := s.HoldKey(ctx, third.RequestKey, lease); err != nil {
			t.Error(err)
		}
	})
}

// TestKeyRetry: what is refused leaves the key as it was.
func TestKeyRetry(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		k := claimKey(t, s, 1)
		failed := in(t, s, job.Failed)
		for id, want := range map[string]error{in(t, s, job.Succeeded).ID: job.ErrConflict, newID(): job.ErrNotFound, "x": job.ErrNotFound} {
			if _, err := s.RetryOnce(ctx, id, k); !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", id, err, want)
			}
		}
		existing := job.Job{ID: failed.ID, Owner: owner}
		if _, err := s.Submit(ctx, job.Submission{Job: existing, Key: k}); !errors.Is(err, job.ErrConflict) {
			t.Errorf("a second of the same ID: %v", err)
		}
		if rec, _, err := s.ClaimKey(ctx, *keyed(1, "x"), lease); err != nil || rec.JobID != "" {
			t.Errorf("%+v, %v", rec, err)
		}
		if j, err := s.RetryOnce(ctx, failed.ID, k); err != nil || j.State != job.Queued || j.Version != failed.Version+1 {
			t.Errorf("%+v, %v", j, err)
		}
		if rec, _, err := s.ClaimKey(ctx, *keyed(1, "x"), lease); err != nil || rec.JobID != failed.ID {
			t.Errorf("%+v, %v", rec, err)
		}
	})
}

// TestKeyExpiry: a key that has expired is anybody's, and goes.
func TestKeyExpiry(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		for i := range 5 {
			k := claimKey(t, s, i)
			if err := s.AnswerKey(ctx, *k, job.Answer{Status: 202}); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := s.PurgeKeys(ctx, 10); err != nil || n != 0 {
			t.Errorf("%d purged, %v", n, err)
		}
		if err := s.setKey(ctx, "", "expires_at", 1); err != nil {
			t.Fatal(err)
		}
		claimKey(t, s, 0)
		if n, err := s.PurgeKeys(ctx, 3); err != nil || n != 3 {
			t.Errorf("%d purged, %v", n, err)
		}
		if n, err := s.PurgeKeys(ctx, 3); err != nil || n != 1 {
			t.Errorf("%d purged, %v", n, err)
		}
		if _, ok, err := s.ClaimKey(ctx, *keyed(0, "x"), lease); ok || err != nil {
			t.Errorf("the one that was taken anew is gone: %v", err)
		}
	})
}

// TestOneKey: of many who come with a key at once, from two processes, one has it, and
// one job is made however often a holder loses the key before his job is made.
func TestOneKey(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			url := newURL(t, kind)
			stores := []store{open(t, url), open(t, url)}
			for i := range 4 {
				var won, made atomic.Int32
				var wg sync.WaitGroup
				for g := range 12 {
					wg.Go(func() {
						s, k := stores[g%2], keyed(i, fmt.Sprint("h", g))
						for range 3 {
							_, ok, err := s.ClaimKey(t.Context(), *k, lease)
							if err != nil {
								t.Error(err)
							}
							if ok {
								won.Add(1)
								if g%3 == 0 { // it is slow, and thought dead
									lapse(t, s, i)
								}
							}
							// Also those who have lost it, or never had it.
							_, err = s.Submit(t.Context(), job.Submission{Job: job.Job{ID: newID(), Owner: owner}, Key: k})
							switch {
							case err == nil:
								made.Add(1)
							case !errors.Is(err, job.ErrLost):
								t.Error(err)
							}
						}
					})
				}
				wg.Wait()
				if won.Load() < 1 || made.Load() != 1 {
					t.Errorf("%d have had it, %d jobs", won.Load(), made.Load())
				}
			}
			jobs, err := stores[0].List(t.Context(), job.Query{Limit: 100})
			if err != nil || len(jobs) != 4 {
				t.Errorf("%d jobs, %v", len(jobs), err)
			}
		})
	}
}

// keyModel is a key as the documentation has it.
type keyModel struct {
	holder string // "": nobody has ever claimed it, or it was freed
	lapsed bool
	job    string
	status int
}

// TestKeyModel runs the same operations on the store and on a model.
func TestKeyModel(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		checks := s.kind().pick(40, 15, 10)
		n := 0
		rapid.Check(t, func(r *rapid.T) {
			if n++; n > checks {
				return
			}
			key, ctx := 1000+n, context.WithoutCancel(t.Context())
			var m keyModel
			holder := func() *job.Keyed {
				return keyed(key, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "holder"))
			}
			lost := func(what string, k *job.Keyed, err error, ok bool) bool {
				if ok != (err == nil) || err != nil && !errors.Is(err, job.ErrLost) {
					r.Fatalf("%s by %s: %v; the model is %+v", what, k.Holder, err, m)
				}
				return ok
			}
			open := func(k *job.Keyed) bool { return m.holder == k.Holder && m.status == 0 }
			r.Repeat(map[string]func(*rapid.T){
				"claim": func(*rapid.T) {
					k := holder()
					_, ok, err := s.ClaimKey(ctx, *k, lease)
					free := m.holder == "" || m.lapsed && m.status == 0 && m.job == ""
					if err != nil || ok != free {
						r.Fatalf("claim by %s: %t, %v; the model is %+v", k.Holder, ok, err, m)
					}
					if ok {
						m = keyModel{holder: k.Holder}
					}
				},
				"lapse": func(*rapid.T) { lapse(t, s, key); m.lapsed = true },
				"hold": func(*rapid.T) {
					k := holder()
					if lost("hold", k, s.HoldKey(ctx, k.RequestKey, lease), open(k)) {
						m.lapsed = false
					}
				},
				"insert": func(*rapid.T) {
					k := holder()
					j, err := s.Submit(ctx, job.Submission{Job: job.Job{ID: newID(), Owner: owner}, Key: k})
					if lost("insert", k, err, open(k) && m.job == "") {
						m.job = j.ID
					}
				},
				"answer": func(*rapid.T) {
					k := holder()
					if lost("answer", k, s.AnswerKey(ctx, *k, job.Answer{Status: 202}), open(k)) {
						m.status = 202
					}
				},
				"free": func(*rapid.T) {
					k := holder()
					if err := s.FreeKey(ctx, k.RequestKey); err != nil {
						r.Fatal(err)
					}
					if open(k) && m.job == "" {
						m = keyModel{}
					}
				},
				"": func(*rapid.T) {
					rec, who, free, err := s.lookKey(ctx, keyed(key, "").RequestKey)
					if m.holder == "" {
						if !errors.Is(err, job.ErrNotFound) {
							r.Fatalf("%+v, %v; nobody has claimed it", rec, err)
						}
						return
					}
					want := job.KeyRecord{JobID: m.job, Held: !m.lapsed && m.status == 0, Answer: job.Answer{Status: m.status}}
					if err != nil || who != m.holder || rec.JobID != want.JobID || rec.Held != want.Held || rec.Answer.Status != m.status ||
						free != (m.lapsed && m.status == 0 && m.job == "") {
						r.Fatalf("%+v of %s, %v; the model is %+v", rec, who, err, m)
					}
				},
			})
		})
	})
}

// TestKeyLimits: what cannot be a user has no key.
func TestKeyLimits(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		for _, who := range []string{"", "a b", strings.Repeat("a", 65)} {
			k := keyed(1, "x")
			k.Owner = who
			if _, ok, err := s.ClaimKey(t.Context(), *k, time.Second); ok || err == nil {
				t.Errorf("%q has a key", who)
			}
		}
	})
}

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// mongoServer starts FerretDB, or uses the MongoDB that MP3LATHE_TEST_MONGODB names.
func mongoServer(t *testing.T) *testserver.MongoDBServer {
	t.Helper()
	mongo, err := testserver.MongoDB(t.Context(), os.Getenv("MP3LATHE_TEST_MONGODB"))
	must(t, err)
	t.Cleanup(func() { must(t, mongo.Stop()) })
	return mongo
}

// TestFleetMongoDB is TestFleet with jobs and files in MongoDB; the accounts stay in MySQL.
// On FerretDB it has small files only: that looks through all chunks for one.
func TestFleetMongoDB(t *testing.T) {
	t.Parallel()
	on := stores(t, within(t, 3*time.Minute))
	mongo := mongoServer(t)
	var err error
	on.jobs, err = mongo.NewDatabase()
	must(t, err)
	on.bucket, err = mongo.NewDatabase()
	must(t, err)
	files := mixed(fixtures(t), 20)
	if mongo.Real {
		files = clips(t, 50)
	}
	s := fleetOn(t, on)
	s.bucket = func(t *testing.T) *objstore.Bucket {
		b, err := objstore.Open(t.Context(), on.bucket)
		must(t, err)
		return b
	}
	s.batch(t, files)

	// A user who leaves takes his jobs with him, of which MongoDB has to know.
	c := s.user(t, "ben@example.org")
	f := clip{path: "../../testdata/melody.mp4", codes: []string{""}}
	j, _, err := s.convert(within(t, time.Minute), c, f, 0)
	must(t, err)
	if status, problem := s.post(t, "/v1/auth/me/delete", c.Token, map[string]string{"password": password}); status != 204 {
		t.Fatalf("to delete the account: %d %v", status, problem)
	}
	eventually(t, time.Minute, "his files are gone", func() bool {
		b := s.bucket(t)
		defer b.Close()
		l, err := b.List(t.Context(), "out/"+j.ID, "", 1)
		return err == nil && len(l) == 0
	})
	for _, p := range s.services {
		if strings.Contains(p.out.String(), "mongodb://") && strings.Contains(p.out.String(), "@") {
			t.Errorf("%s logs a URL: %s", p.name, p.tail())
		}
	}
	s.quiet(t)
}

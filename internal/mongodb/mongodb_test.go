package mongodb

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

var server *testserver.MongoDBServer

func TestMain(m *testing.M) {
	os.Exit(testserver.Main(m, func(ctx context.Context) (*testserver.MongoDBServer, error) {
		return testserver.MongoDB(ctx, os.Getenv("MP3LATHE_TEST_MONGODB"))
	}, &server))
}

// TestURLs: what is wrong is said, and the password is not.
func TestURLs(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"mongodb://localhost/x", "mongodb://a:27017,b,c:27019/x?replicaSet=rs0&retryWrites=false", "mongodb://u:geheim@h/x?authSource=admin",
		"mongodb://u:ge%2Fheim%40@h/x", "mongodb+srv://u:geheim@cluster.example.org/x?tls=true", "mongodb://[::1]:27017/x",
	} {
		if err := CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "mysql://u:geheim@h/x", "mongodb://", "mongodb://u:geheim@/x", "mongodb://u:geheim@h", "mongodb://u:geheim@h/", "mongodb://u:geheim@h/a.b", "mongodb://u:geheim@h/a/b",
		"mongodb://u:ge/heim@h/x", "mongodb://u:ge@geheim@h/x", "mongodb://u:ge%zzheim@h/x", "mongodb://u:geheim@h/x?replicaSet", "mongodb://u:geheim@h/x?connectTimeoutMS=geheim",
		"mongodb://u:geheim@h:port/x", "mongodb+srv://u:geheim@h1,h2/x", "mongodb+srv://u:geheim@h:1/x", "mongodb://h/x?tlsCertificateKeyFilePassword=geheim&tlsCertificateKeyFile=/nowhere",
		"mongodb://u:geheim@h/x?w=0&journal=true", "mongodb://geheim:geheim:geheim@h/x",
	} {
		err := CheckURL(bad)
		if err == nil {
			t.Errorf("%s is taken", bad)
		} else if strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "heim@") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestOpenNobody: a server that is not there is an error in time, without the password.
func TestOpenNobody(t *testing.T) {
	t.Parallel()
	began := time.Now()
	db, err := Open(t.Context(), "mongodb://u:geheim@127.0.0.1:1/x")
	if err == nil {
		_ = db.Close()
		t.Fatal("opened")
	}
	if strings.Contains(err.Error(), "geheim") || !strings.Contains(err.Error(), "mongodb://u@127.0.0.1:1/x") {
		t.Error(err)
	}
	if took := time.Since(began); took > QueryTimeout+5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestClock: the time is the server's, and goes on.
func TestClock(t *testing.T) {
	t.Parallel()
	url, err := server.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	first, err := db.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(time.UnixMicro(first)); d.Abs() > time.Hour {
		t.Errorf("it is %v from here", d)
	}
	for until := time.Now().Add(10 * time.Second); ; {
		now, err := db.Now(t.Context())
		if err != nil || now < first || time.Now().After(until) {
			t.Fatalf("%d after %d, %v", now, first, err)
		}
		if now > first {
			return
		}
	}
}

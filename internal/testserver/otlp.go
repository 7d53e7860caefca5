package testserver

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// OTLPServer is a collector of traces, which speaks OTLP over HTTP.
type OTLPServer struct {
	// URL of the collector.
	URL string

	srv  *http.Server
	quit chan struct{}

	mu     sync.Mutex
	spans  []OTLPSpan
	raw    [][]byte // all that came, as protobuf
	faults []error
	hang   bool
	status int
	header http.Header
}

// OTLPSpan is a span that was sent.
type OTLPSpan struct {
	// Service is what the resource calls itself.
	Service string
	Name    string
	// Trace, ID and Parent in hex; a span without a parent has "".
	Trace, ID, Parent string
	// Links are traces in hex.
	Links []string
	// Attrs as text.
	Attrs map[string]string
	// Events by their names.
	Events []string
	// Fault is the status of a span that has failed.
	Fault      string
	Began, End time.Time
}

// OTLP starts a collector on loopback. Close it at the end.
func OTLP() (*OTLPServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	s := &OTLPServer{URL: "http://" + l.Addr().String(), quit: make(chan struct{})}
	s.srv = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.srv.Serve(l) }()
	return s, nil
}

// Close ends it.
func (s *OTLPServer) Close() error {
	close(s.quit)
	return s.srv.Close()
}

// Hang has it take what comes and not answer, until it is told otherwise.
func (s *OTLPServer) Hang(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang = on
}

// Answer has it refuse what comes with a status; 0 takes it.
func (s *OTLPServer) Answer(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// Spans are those that have come.
func (s *OTLPServer) Spans() []OTLPSpan {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.spans)
}

// Raw is all that has come, as protobuf.
func (s *OTLPServer) Raw() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.raw)
}

// Headers are those of the last request.
func (s *OTLPServer) Headers() http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.header
}

// Err is what was wrong with what has come.
func (s *OTLPServer) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 {
		return nil
	}
	return s.faults[0]
}

// ServeHTTP implements [http.Handler].
func (s *OTLPServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	hang, status := s.hang, s.status
	s.header = r.Header.Clone()
	s.mu.Unlock()
	if hang {
		select {
		case <-s.quit:
		case <-r.Context().Done():
		}
		return
	}
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	if err := s.take(r); err != nil {
		s.mu.Lock()
		s.faults = append(s.faults, err)
		s.mu.Unlock()
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b, _ := proto.Marshal(&collector.ExportTraceServiceResponse{})
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(b)
}

func (s *OTLPServer) take(r *http.Request) error {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		return fmt.Errorf("otlp: %s %s of %q", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return err
		}
		body = z
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var req collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(b, &req); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw = append(s.raw, b)
	for _, rs := range req.ResourceSpans {
		service := attrs(rs.Resource.GetAttributes())["service.name"]
		for _, scope := range rs.ScopeSpans {
			for _, x := range scope.Spans {
				span := OTLPSpan{
					Service: service, Name: x.Name, Trace: hex.EncodeToString(x.TraceId), ID: hex.EncodeToString(x.SpanId), Parent: hex.EncodeToString(x.ParentSpanId),
					Attrs: attrs(x.Attributes), Began: time.Unix(0, int64(x.StartTimeUnixNano)), End: time.Unix(0, int64(x.EndTimeUnixNano)),
				}
				if x.Status.GetCode() == 2 {
					span.Fault = x.Status.GetMessage()
				}
				for _, e := range x.Events {
					span.Events = append(span.Events, e.Name)
				}
				for _, l := range x.Links {
					span.Links = append(span.Links, hex.EncodeToString(l.TraceId))
				}
				s.spans = append(s.spans, span)
			}
		}
	}
	return nil
}

func attrs(list []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range list {
		switch v := kv.Value.GetValue().(type) {
		case *common.AnyValue_StringValue:
			m[kv.Key] = v.StringValue
		default:
			m[kv.Key] = kv.Value.String()
		}
	}
	return m
}

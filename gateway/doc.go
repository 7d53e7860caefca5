// Package gateway is the HTTP API of mp3lathe: uploads become jobs, jobs can be
// listed, watched, canceled and tried again, and their MP3s fetched.
//
//	POST   /v1/jobs               upload a file; 202 with the job
//	GET    /v1/jobs               the user's jobs, newest first
//	GET    /v1/jobs/{id}          one job
//	DELETE /v1/jobs/{id}          cancel it, or remove it once it has ended
//	POST   /v1/jobs/{id}/retry    try a failed job again
//	GET    /v1/jobs/{id}/audio    the MP3; by token or by a signed link
//	GET    /v1/jobs/{id}/events   its changes as server-sent events
//
// and, for clients of the Python project that this one descends from, POST /login,
// POST /upload and GET /download. /openapi.json describes it all.
//
// A gateway keeps nothing: the row in SQL is the truth, the upload lies in the
// bucket, and the queue only carries the job's ID. So many gateways can stand side
// by side, and one that dies loses the uploads under way and nothing else.
//
//	g, err := gateway.New(gateway.Config{}, gateway.Deps{
//		Jobs:   store,                     // *jobstore.Store
//		Queue:  client,                    // *queue.Client
//		Hints:  bus,                       // *events.Bus
//		Bucket: gateway.BucketOf(bucket),  // *objstore.Bucket
//		Tokens: verifier,                  // *token.Verifier
//		Links:  signer,                    // *link.Signer
//		Logger: logger,
//	})
//	go g.Run(ctx)
//	err = httpapi.Serve(ctx, listener, g.Handler(), logger, httpapi.ServerConfig{})
package gateway

// A client of Mixer made of Istio's own generated types: what they cannot read, no client of Istio can.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	mixer "istio.io/api/mixer/v1"
)

type operation struct{ Name, Value, Operation string }

type answer struct {
	Error         string
	Code          int32
	Message       string
	ValidSeconds  float64
	ValidUseCount int32
	References    []string
	Request       []operation
	Response      []operation
	DirectCode    uint32
	DirectBody    string
	Granted       map[string]int64
	QuotaCodes    map[string]int32
	QuotaSeconds  map[string]float64
	ReportError   string
}

func operations(from []mixer.HeaderOperation) []operation {
	found := []operation{}
	for _, one := range from {
		found = append(found, operation{one.Name, one.Value, one.Operation.String()})
	}
	return found
}

// All words are those of the message, since the caller says that it knows no others.
func references(from *mixer.ReferencedAttributes) []string {
	found := []string{}
	for _, one := range from.AttributeMatches {
		name := from.Words[-one.Name-1]
		if one.MapKey != 0 {
			name += "::" + from.Words[-one.MapKey-1]
		}
		found = append(found, name+" "+one.Condition.String())
	}
	return found
}

func attributes(words []string, headers map[int32]int32) mixer.CompressedAttributes {
	return mixer.CompressedAttributes{
		Words:      words,
		Strings:    map[int32]int32{-1: -2},
		Int64S:     map[int32]int64{-3: 404},
		Bools:      map[int32]bool{-4: true},
		Timestamps: map[int32]time.Time{-5: time.Unix(12, 34)},
		Durations:  map[int32]time.Duration{-6: time.Second},
		Bytes:      map[int32][]byte{-7: {10, 0, 0, 1}},
		StringMaps: map[int32]mixer.StringMap{-8: {Entries: headers}},
	}
}

func ask(client mixer.MixerClient) answer {
	words := []string{"request.path", "/a", "response.code", "connection.mtls", "request.time",
		"response.duration", "source.ip", "request.headers", os.Args[2], "1"}
	told := attributes(words, map[int32]int32{-9: -10})
	request := mixer.CheckRequest{Attributes: told, DeduplicationId: "1", Quotas: map[string]mixer.CheckRequest_QuotaParams{
		"requestcount": {Amount: 3, BestEffort: true}, "nosuch": {Amount: 3}}}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	response, err := client.Check(ctx, &request)
	if err != nil {
		return answer{Error: status.Convert(err).Message()}
	}
	said := response.Precondition
	found := answer{Code: said.Status.Code, Message: said.Status.Message,
		ValidSeconds: said.ValidDuration.Seconds(), ValidUseCount: said.ValidUseCount,
		References: references(said.ReferencedAttributes),
		Granted:    map[string]int64{}, QuotaCodes: map[string]int32{}, QuotaSeconds: map[string]float64{}}
	if directive := said.RouteDirective; directive != nil {
		found.Request = operations(directive.RequestHeaderOperations)
		found.Response = operations(directive.ResponseHeaderOperations)
		found.DirectCode, found.DirectBody = directive.DirectResponseCode, directive.DirectResponseBody
	}
	for name, one := range response.Quotas {
		found.Granted[name], found.QuotaSeconds[name] = one.GrantedAmount, one.ValidDuration.Seconds()
		found.QuotaCodes[name] = one.Status.Code
	}
	report := mixer.ReportRequest{Attributes: []mixer.CompressedAttributes{told, {}}}
	if _, err = client.Report(ctx, &report); err != nil {
		found.ReportError = status.Convert(err).Message()
	}
	return found
}

func main() {
	connection, err := grpc.Dial(os.Args[1], grpc.WithInsecure())
	if err != nil {
		panic(err)
	}
	defer connection.Close()
	told, err := json.Marshal(ask(mixer.NewMixerClient(connection)))
	if err != nil {
		panic(err)
	}
	fmt.Println(string(told))
}

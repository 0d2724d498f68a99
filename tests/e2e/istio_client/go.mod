module client

go 1.13

require (
	google.golang.org/grpc v1.23.0
	istio.io/api v0.0.0-20190820204432-483f2547d882
)

module example.com/mixer/go-abi

go 1.24

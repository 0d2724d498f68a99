// Conformance test module on the SDK for AssemblyScript. The README beside it says what it does.

export * from "@solo-io/proxy-runtime/proxy";

import {
  Context,
  Counter,
  FilterDataStatusValues,
  FilterHeadersStatusValues,
  FilterTrailersStatusValues,
  GrpcStatusValues,
  HeaderPair,
  Headers,
  LogLevelValues,
  RootContext,
  continue_request,
  log,
  registerRootContext,
  send_local_response,
  stream_context
} from "@solo-io/proxy-runtime";
import {
  enqueue_shared_queue,
  get_property,
  set_property,
  set_tick_period_milliseconds
} from "@solo-io/proxy-runtime/runtime";
import {
  HTTP_CALL_BODY,
  PLUGIN_CONFIGURATION,
  REQUEST_BODY,
  RESPONSE_BODY,
  buffer,
  countShared,
  dequeue,
  metric,
  registerQueue,
  replaceBuffer,
  text
} from "./host";

function tell(line: string): void {
  log(LogLevelValues.warn, line);
}

function pair(name: string, value: string): HeaderPair {
  return new HeaderPair(String.UTF8.encode(name), String.UTF8.encode(value));
}

class Root extends RootContext {
  private cluster: string = "";
  private requests: Counter = new Counter("assemblyscript.requests");
  private queue: u32 = 0;

  onConfigure(size: u32): bool {
    this.cluster = size ? buffer(PLUGIN_CONFIGURATION) : "";
    this.queue = registerQueue("assemblyscript");
    set_tick_period_milliseconds(50);
    return true;
  }

  onTick(): void {
    set_tick_period_milliseconds(0);
    tell("tick");
  }

  onQueueReady(queue: u32): void {
    tell("message " + dequeue(queue));
  }

  count(path: string): void {
    this.requests.increment(1);
    tell("requests " + metric(this.requests.metric_id).toString());
    enqueue_shared_queue(this.queue, String.UTF8.encode(path));
  }

  ask(stream: Context): FilterHeadersStatusValues {
    const headers: Headers = [];
    headers.push(pair(":method", "POST"));
    headers.push(pair(":path", "/assemblyscript"));
    headers.push(pair(":authority", "callout.test"));
    const body = String.UTF8.encode("question");
    const status = this.httpCall(
      this.cluster, headers, body, [], 5000, stream,
      (origin: Context, count: u32, size: usize, trailers: u32): void => {
        const got = stream_context.headers.http_callback.get(":status");
        tell("answered " + got + " " + size.toString() + " " + trailers.toString());
        stream_context.headers.request.add("x-answer", buffer(HTTP_CALL_BODY));
        continue_request();
      }
    );
    tell("asked " + status.toString());
    return status == 0
      ? FilterHeadersStatusValues.StopIteration : FilterHeadersStatusValues.Continue;
  }

  createContext(id: u32): Context {
    return new Stream(id, this);
  }
}

class Stream extends Context {
  private root: Root;

  constructor(id: u32, root: Root) {
    super(id, root);
    this.root = root;
  }

  onRequestHeaders(count: u32, end: bool): FilterHeadersStatusValues {
    const headers = stream_context.headers.request;
    const path = headers.get(":path");
    tell("request headers " + path + (end ? " end" : ""));
    set_property("assemblyscript.path", String.UTF8.encode(path));
    if (path == "/deny") {
      const own: Headers = [];
      own.push(pair("x-module", "assemblyscript"));
      const body = String.UTF8.encode("blocked by module");
      send_local_response(403, "denied", body, own, GrpcStatusValues.Unknown);
      return FilterHeadersStatusValues.StopIteration;
    }
    headers.add("x-count", countShared("assemblyscript.count").toString());
    headers.add("x-path", text(get_property("request\0url_path")));
    headers.remove("x-remove");
    if (headers.get("x-replace") != "") {
      headers.replace("x-replace", "replaced");
    }
    this.root.count(path);
    return path == "/ask" ? this.root.ask(this) : FilterHeadersStatusValues.Continue;
  }

  onRequestBody(size: usize, end: bool): FilterDataStatusValues {
    if (!end) {
      return FilterDataStatusValues.StopIterationAndBuffer;
    }
    const body = buffer(REQUEST_BODY);
    tell("request body " + body.length.toString());
    replaceBuffer(REQUEST_BODY, body.toUpperCase());
    return FilterDataStatusValues.Continue;
  }

  onRequestTrailers(count: u32): FilterTrailersStatusValues {
    tell("request trailers " + stream_context.trailers.request.get("x-sum"));
    return FilterTrailersStatusValues.Continue;
  }

  onResponseHeaders(count: u32, end: bool): FilterHeadersStatusValues {
    const headers = stream_context.headers.response;
    tell("response headers " + headers.get(":status") + (end ? " end" : ""));
    headers.remove("content-length");
    headers.add("x-of", text(get_property("assemblyscript.path")));
    return FilterHeadersStatusValues.Continue;
  }

  onResponseBody(size: usize, end: bool): FilterDataStatusValues {
    if (!end) {
      return FilterDataStatusValues.StopIterationAndBuffer;
    }
    const body = buffer(RESPONSE_BODY);
    tell("response body " + body.length.toString());
    replaceBuffer(RESPONSE_BODY, "<" + body + ">");
    return FilterDataStatusValues.Continue;
  }

  onLog(): void {
    tell("log " + text(get_property("assemblyscript.path")));
  }

  onDelete(): void {
    tell("deleted");
  }
}

registerRootContext((id: u32) => new Root(id), "");

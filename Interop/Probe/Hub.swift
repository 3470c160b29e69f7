// Downloads by the library, without the command; for the measurements of Benchmarks/hub.
//
//   hub file OWNER/NAME PATH     downloads a file and prints where it is
//   hub model OWNER/NAME         downloads a model and prints its folder

import Dispatch
import EttinHub
import Foundation

func runHub(_ arguments: [String]) -> Never {
    Task {
        do {
            try await download(arguments)
            exit(0)
        } catch {
            fail(error)
        }
    }
    dispatchMain()
}

private func download(_ arguments: [String]) async throws {
    let hub = try HubClient(environment: HubEnvironment(ProcessInfo.processInfo.environment))
    switch (arguments.first, arguments.count) {
    case ("file", 3): print(try await hub.file(arguments[2], of: HubReference(arguments[1])))
    case ("model", 2): print(try await hub.modelFolder(.hub(HubReference(arguments[1]))))
    default: endWithUsage("usage: ettin-probe hub file OWNER/NAME PATH | model OWNER/NAME")
    }
}

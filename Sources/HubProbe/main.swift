// Downloads by the library alone, as an application without libtorch does; for the measurements of Benchmarks/hub.
//
//   file OWNER/NAME PATH     downloads a file and prints where it is
//   model OWNER/NAME         downloads a model and prints its folder

import EttinHub
import Foundation

let arguments = Array(CommandLine.arguments.dropFirst())
do {
    let hub = try HubClient(environment: HubEnvironment(ProcessInfo.processInfo.environment))
    switch (arguments.first, arguments.count) {
    case ("file", 3): print(try await hub.file(arguments[2], of: HubReference(arguments[1])))
    case ("model", 2): print(try await hub.modelFolder(.hub(HubReference(arguments[1]))))
    default:
        FileHandle.standardError.write(Data("usage: HubProbe file OWNER/NAME PATH | model OWNER/NAME\n".utf8))
        exit(64)
    }
} catch {
    FileHandle.standardError.write(Data("error: \(error)\n".utf8))
    exit(1)
}

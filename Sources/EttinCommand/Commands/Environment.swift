import ArgumentParser
import EttinJSON
import Torch

/// The command `ettin env`.
struct Environment: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "env",
        abstract: "Show version, libtorch, devices and CPU features.",
        discussion: """
            Examples:

              ettin env
              ettin env --json
            """
    )

    @OptionGroup var json: JSONOption

    func run() throws {
        TorchRuntime.respectProcessorQuota()
        let cudaCount = TorchRuntime.cudaDeviceCount
        let devices = ["cpu"] + (0..<cudaCount).map { "cuda:\($0)" } + (Device.isMPSAvailable ? ["mps"] : [])
        if json.isOn {
            return try StandardOutput.write(document: [
                "ettin_version": .string(EttinCommand.version),
                "libtorch_version": .string(TorchRuntime.version),
                "libtorch_folder": .string(TorchRuntime.libraryFolder),
                "libtorch_build": .string(TorchRuntime.buildSummary),
                "devices": .array(devices.map(JSONValue.string)),
                "cpu_capability": .string(TorchRuntime.cpuCapability),
                "cpu_features": .array(TorchRuntime.cpuFeatures.map(JSONValue.string)),
                "kernels": .string(TorchRuntime.kernelInstructionSet),
                "threads": JSONValue(TorchRuntime.threadCount),
            ])
        }
        try StandardOutput.write { output in
            try output.line("ettin           \(EttinCommand.version)")
            try output.line("libtorch        \(TorchRuntime.version) in \(TorchRuntime.libraryFolder)")
            try output.line("devices         \(devices.joined(separator: ", "))")
            try output.line("CPU capability  \(TorchRuntime.cpuCapability)")
            try output.line("CPU features    \(TorchRuntime.cpuFeatures.joined(separator: " "))")
            try output.line("kernels         \(TorchRuntime.kernelInstructionSet)")
            try output.line("threads         \(TorchRuntime.threadCount)")
            try output.line("libtorch build")
            for line in TorchRuntime.buildSummary.split(separator: "\n") { try output.line("  \(line)") }
        }
    }
}

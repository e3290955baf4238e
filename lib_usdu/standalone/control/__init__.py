"""ControlNets on the command line: which are asked for, how they are loaded, how they steer a UNet over windows."""

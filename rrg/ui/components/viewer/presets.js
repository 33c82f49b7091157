// Window presets for radiographs whose grey values are 0 to 1: the brightness of lung, heart and bone differs.
return [
  { name: "Default", level: 0.5, width: 1 },
  { name: "Lung", level: 0.4, width: 0.8 },
  { name: "Behind the heart", level: 0.75, width: 0.5 },
  { name: "Bone", level: 0.65, width: 0.4 },
  { name: "High contrast", level: 0.5, width: 0.5 },
];
